"""Keeps the broker's own dead letters with ours: what ended at the delivery limit is listed and replayed like any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from service.telemetry import describe, frames
from service.workflow.ports import ConsumerDown

log = structlog.get_logger()

Collect = Callable[[], Awaitable[int]]
"""Collects until nothing is left; how many."""

EVERY = 3600.0
_STOP_WITHIN = 1.0


@asynccontextmanager
async def collecting(collect: Collect, every: float = EVERY) -> AsyncIterator[None]:
    """At once, then every so many seconds, until left. Any number of processes may do so at once.

    A look under way is cut off, since others wait to be stopped: what it held returns to its queue."""
    task = asyncio.create_task(_now_and_then(collect, every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=_STOP_WITHIN)


async def _now_and_then(collect: Collect, every: float) -> None:
    while True:
        try:
            count = await collect()
        except ConsumerDown as down:
            log.warning("dead_letters_not_collected", detail=str(down))
        except Exception as error:
            log.warning("dead_letters_not_collected", error=describe(error), frames=frames(error))
        else:
            if count:
                log.warning("dead_letters_collected", count=count)
        await asyncio.sleep(every)
