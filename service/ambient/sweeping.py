"""Audio that a killed process left behind: complete blobs without a recording, and uploads that never ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from service.ambient.ports import Blobs, audio_key
from service.ambient.store import AmbientStore
from service.ambient.transcription import heard

log = structlog.get_logger()

FIRST_AFTER = 30.0
"""Seconds: a start has better things to do."""

EVERY = 3600.0
OLD = 6 * 3600.0
"""Seconds. Audio is complete before its recording is known, and no upload stands still for so long."""

_AUDIO = "audio"
_BATCH = 500


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
        await task


async def sweep(store: AmbientStore, blobs: Blobs, older_than: float, stopping: asyncio.Event | None = None) -> int:
    """Deletes audio that no recording names, and unfinished uploads, both older than `older_than` seconds; how many."""
    swept = await blobs.discard_unfinished(_AUDIO, older_than)
    async for keys in _batches(blobs.kept(_AUDIO, older_than)):
        known = await store.known_recordings(list(keys))
        for recording in keys.keys() - known:
            await blobs.delete(keys[recording])
            swept += 1
        if stopping and stopping.is_set():
            break
    if swept:
        log.info("orphans_swept", count=swept)
    return swept


async def _now_and_then(
    store: AmbientStore, blobs: Blobs, stopping: asyncio.Event, first_after: float, every: float, older_than: float
) -> None:
    """Told to stop rather than cancelled: a statement that is cut off leaves its connection in doubt."""
    await heard(stopping, first_after)
    while not stopping.is_set():
        try:
            await sweep(store, blobs, older_than, stopping)
        except Exception:
            log.exception("orphans_not_swept")
        await heard(stopping, every)


async def _batches(keys: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    """Keys by the recording that they are named for. What is not named as recordings are is none of ours."""
    batch: dict[str, str] = {}
    async for key in keys:
        recording = key.rpartition("/")[2]
        if key == audio_key(recording):
            batch[recording] = key
        if len(batch) == _BATCH:
            yield batch
            batch = {}
    if batch:
        yield batch
