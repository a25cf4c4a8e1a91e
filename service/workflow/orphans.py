"""Orphans: what the ambient API holds of a visit and none of its steps knows, because an answer was lost or came late.

They are found where an intent had no result, and swept once whatever was sent has arrived: long after the visit ended.
An interaction whose identifier is a visit's id is ours, with everything in it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog

from service.errors import LostLease
from service.settings import Worker
from service.stopping import ended
from service.telemetry import ORPHANS, describe, frames
from service.workflow.late import came_to_light
from service.workflow.ports import Visits
from service.workflow.run import lease_kept
from service.workflow.runner import owner_name
from service.workflow.visit import Visit
from service.workflow.work import Work

log = structlog.get_logger()

EVERY = 60.0
_AT_ONCE = 4
_STOP_WITHIN = 3.0


@asynccontextmanager
async def sweeping(
    visits: Visits, settings: Worker, work_on: Callable[[Visit], Work], every: float = EVERY
) -> AsyncIterator[None]:
    """Sweeps what is due until left. Any number of processes may do so at once."""
    stopping = asyncio.Event()
    task = asyncio.create_task(_now_and_then(visits, settings, work_on, stopping, every))
    try:
        yield
    finally:
        stopping.set()
        await ended(task, within=_STOP_WITHIN)


async def _now_and_then(
    visits: Visits, settings: Worker, work_on: Callable[[Visit], Work], stopping: asyncio.Event, every: float
) -> None:
    while not stopping.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), every)
        try:
            await sweep_all(visits, settings, work_on, until=stopping.is_set)
        except Exception:
            log.exception("orphans_not_swept")


async def sweep_all(
    visits: Visits,
    settings: Worker,
    work_on: Callable[[Visit], Work],
    *,
    early: bool = False,
    until: Callable[[], bool] = lambda: False,
) -> Counter[str]:
    """How many orphans of each kind were deleted, of every visit whose time has come (`early`: or has not).

    Ends at the first that cannot be swept now: it is tried again later, and the others with it.
    """
    owner, found = owner_name(), Counter[str]()
    clean = True
    while clean and not until():
        claimed = await visits.claim_unswept(owner, _AT_ONCE, settings.lease, early)
        if not claimed:
            break
        clean = all(await asyncio.gather(*(_sweep_under_lease(work_on(visit), found) for visit in claimed)))
    return found


async def _sweep_under_lease(work: Work, total: Counter[str]) -> bool:
    """Whether nothing was left."""
    found, clean, doubted = Counter[str](), False, list[str]()
    try:
        async with lease_kept(work):
            doubted = await sweep(work, found)
            clean = True
    except Exception as failure:  # one odd visit must not keep the others from being swept
        log.info("orphans_left", visit=work.visit.id, error=describe(failure), frames=frames(failure))
    for kind, count in found.items():
        ORPHANS.labels(kind).inc(count)
    if found:
        log.info("orphans_swept", visit=work.visit.id, count=found.total())
    total.update(found)
    with suppress(LostLease):
        await work.visits.swept(work.visit, clean=clean, doubted=doubted)
    return clean


async def sweep(work: Work, found: Counter[str]) -> list[str]:
    """Deletes every orphan of the visit at the ambient API and counts it in `found`; returns the steps whose effect in the
    EHR came to light. Raises LostLease, Retryable, NeedsPerson."""
    ambient, patient = work.ambient, work.interaction_of
    if patient:
        ours = await ambient.find_interactions(identifier=work.visit.id, patient=patient)
        kept = str(work.results.get("interaction", {}).get("id"))
        await _delete(work, found, "interaction", ours, {kept}, ambient.delete_interaction)
        for kind, listed, delete in (
            ("recording", ambient.list_recordings, ambient.delete_recording),
            ("transcript", ambient.list_transcripts, ambient.delete_transcript),
            ("document", ambient.list_documents, ambient.delete_document),
        ):
            there = await listed(kept) if kept in ours else []
            await _delete(work, found, kind, there, _known(work, kind), partial(delete, kept))
    return await came_to_light(work)


async def _delete(
    work: Work,
    found: Counter[str],
    kind: str,
    there: Iterable[str],
    known: set[str | None],
    delete: Callable[[str], Awaitable[None]],
) -> None:
    for stray in there:
        if stray not in known:
            await work.send(partial(delete, stray))
            found[kind] += 1


def _known(work: Work, kind: str) -> set[str | None]:
    return {result.get("id") for step, result in work.results.items() if step.startswith(f"{kind}:")}
