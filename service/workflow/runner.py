"""Runners: claim due visits under a lease and run over them, as many at once as the settings allow."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import structlog

from service.settings import Worker
from service.stopping import ended
from service.telemetry import frames
from service.workflow.destinations import Destination
from service.workflow.ports import Intents, Plan, Visits
from service.workflow.run import run
from service.workflow.visit import Visit
from service.workflow.work import Work

log = structlog.get_logger()

_HANGING_AFTER = 3.0
"""Seconds after which a statement is taken for lost when the process is to end."""


class Runner:
    """`wake` is set by whoever makes a visit due; polling finds what nobody told of. Visits that wait on one of the
    `destinations` are claimed as it has calls free."""

    def __init__(
        self,
        visits: Visits,
        settings: Worker,
        work_on: Callable[[Visit], Work],
        plan: Plan,
        wake: asyncio.Event,
        destinations: Sequence[Destination] = (),
    ) -> None:
        self._visits = visits
        self._settings = settings
        self._work_on = work_on
        self._plan = plan
        self._wake = wake
        self._destinations = destinations
        self._owner = owner_name()
        self._running: dict[asyncio.Task[None], Work] = {}
        self._stopping = False

    @asynccontextmanager
    async def running(self, grace: float = 20.0) -> AsyncIterator[None]:
        """Until left; then lets each run end after the step that it is in, within `grace` seconds, and gives the rest
        back."""
        claiming = asyncio.create_task(self._claim_for_ever())
        try:
            yield
        finally:
            self.stop()
            until = time.monotonic() + grace
            await ended(claiming, within=min(grace, _HANGING_AFTER))
            await ended(*self._running, within=max(until - time.monotonic(), 0.0))
            await self._release()

    def stop(self) -> None:
        """Nothing is claimed from here on, and runs end after the step that they are in; `running` waits for them."""
        self._stopping = True
        self._wake.set()
        for work in self._running.values():
            work.stopping = True

    async def _claim_for_ever(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._claim()
            except Exception as error:
                log.error("claim_failed", error=type(error).__name__, frames=frames(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._settings.poll)

    async def _claim(self) -> None:
        free = self._settings.concurrency - len(self._running)
        if free <= 0:
            return
        allowances: dict[str, int] = {
            one.name: one.free for one in self._destinations if one.free < self._settings.concurrency
        }
        claimed_at = time.monotonic()
        for visit in await self._visits.claim(self._owner, free, self._settings.lease, self._intents, allowances):
            work = self._work_on(visit)
            work.renewed_at, work.stopping = claimed_at, self._stopping
            task = asyncio.create_task(self._run(work))
            self._running[task] = work
            task.add_done_callback(self._finished)

    def _intents(self, visit: Visit) -> Intents:
        """One visit with facts that nobody thought of must not keep the others from being claimed: its own run fails."""
        try:
            return self._plan(visit)
        except Exception as error:
            log.error("plan_failed", visit=visit.id, error=type(error).__name__, frames=frames(error))
            return {}

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()

    async def _run(self, work: Work) -> None:
        structlog.contextvars.bind_contextvars(visit=work.visit.id, fence=work.visit.fence)
        settled = await run(work)
        if settled and settled.next_in is not None and settled.next_in < self._settings.poll:
            asyncio.get_running_loop().call_later(settled.next_in, self._wake.set)

    async def _release(self) -> None:
        """Where the database is away, the leases end by themselves."""
        try:
            async with asyncio.timeout(_HANGING_AFTER):
                released = await self._visits.release(self._owner)
        except Exception as error:
            log.warning("visits_not_released", error=error)
        else:
            if released:
                log.info("visits_released", count=released)


def owner_name() -> str:
    """Who holds a lease: no two runners ever share it."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(6).hex()}"[-64:]
