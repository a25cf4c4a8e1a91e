"""Audio that a killed process left behind: of uploads that were begun and never became a recording.

Only what the database knows as begun is deleted: a folder that is shared by two deployments, or a database that was
restored from an older copy, costs no recording.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from service.ambient.ports import Blobs, audio_key
from service.ambient.store import AmbientStore
from service.ambient.transcription import heard
from service.stopping import ended

log = structlog.get_logger()

FIRST_AFTER = 30.0
"""Seconds: a start has better things to do."""

EVERY = 3600.0
OLD = 6 * 3600.0
"""Seconds: no upload takes so long. One that does is refused at its end."""

_AUDIO = "audio"
_STOP_WITHIN = 1.0


@asynccontextmanager
async def sweeping(
    store: AmbientStore, blobs: Blobs, first_after: float = FIRST_AFTER, every: float = EVERY, older_than: float = OLD
) -> AsyncIterator[None]:
    """Sweeps now and then until left. Any number of processes may do so at once: deleting twice is fine."""
    stopping = asyncio.Event()
    task = asyncio.create_task(_now_and_then(store, blobs, stopping, first_after, every, older_than))
    try:
        yield
    finally:
        stopping.set()
        await ended(task, within=_STOP_WITHIN)


async def sweep(store: AmbientStore, blobs: Blobs, older_than: float) -> int:
    """Deletes the audio of uploads begun more than `older_than` seconds ago that did not end; how many."""
    await blobs.discard_unfinished(_AUDIO, older_than)
    abandoned = await store.abandoned_uploads(older_than)
    for recording in abandoned:
        await blobs.delete(audio_key(recording))
        await store.end_upload(recording)
    if abandoned:
        log.info("orphans_swept", count=len(abandoned))
    return len(abandoned)


async def _now_and_then(
    store: AmbientStore, blobs: Blobs, stopping: asyncio.Event, first_after: float, every: float, older_than: float
) -> None:
    await heard(stopping, first_after)
    while not stopping.is_set():
        try:
            await sweep(store, blobs, older_than)
        except Exception:
            log.exception("orphans_not_swept")
        await heard(stopping, every)
