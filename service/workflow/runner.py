"""Runners: claim due visits under a lease, reconcile them, settle them. As many at once as the settings allow."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from service.errors import LostLease, Retryable
from service.settings import Worker
from service.telemetry import LEASES_LOST, frames
from service.workflow.outcomes import settlement
from service.workflow.ports import Visits
from service.workflow.reconcile import Ending, reconcile
from service.workflow.visit import Visit
from service.workflow.work import Work

log = structlog.get_logger()


class Runner:
    """`wake` is set by whoever makes a visit due in this process; other processes' visits are found by polling."""

    def __init__(self, visits: Visits, settings: Worker, work_on: Callable[[Visit], Work], wake: asyncio.Event) -> None:
        self._visits = visits
        self._settings = settings
        self._work_on = work_on
        self._wake = wake
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{id(self):x}"[-64:]
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        visits: Visits,
        settings: Worker,
        work_on: Callable[[Visit], Work],
        wake: asyncio.Event,
        grace: float = 20.0,
    ) -> AsyncIterator[Runner]:
        """Runs until left; then lets steps under way finish within `grace` seconds and gives the rest back."""
        runner = cls(visits, settings, work_on, wake)
        claiming = asyncio.create_task(runner._claim_for_ever())
        try:
            yield runner
        finally:
            runner._stopping = True
            wake.set()
            await claiming
            await runner._stop(grace)

    async def _claim_for_ever(self) -> None:
        """Told to stop rather than cancelled: a statement that is cut off leaves its connection in doubt."""
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
        claimed_at = time.monotonic()
        for visit in await self._visits.claim(self._owner, free, self._settings.lease):
            task = asyncio.create_task(self._reconcile(visit, claimed_at))
            self._running.add(task)
            task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    async def _reconcile(self, visit: Visit, claimed_at: float) -> None:
        structlog.contextvars.bind_contextvars(visit=visit.id, fence=visit.fence)
        work = self._work_on(visit)
        work.renewed_at = claimed_at
        renewing = asyncio.create_task(self._renew(work, asyncio.current_task()))
        try:
            outcome: Ending | BaseException = await reconcile(work)
        except asyncio.CancelledError:
            if not work.lost:
                raise
            outcome = LostLease(f"visit {visit.id}")
        except Exception as error:
            outcome = error
        finally:
            renewing.cancel()
        await self._settle(work.visit, outcome)

    async def _renew(self, work: Work, task: asyncio.Task[None] | None) -> None:
        """Keeps the lease while a step runs; when it is lost, the work on the visit ends at once."""
        while True:
            await asyncio.sleep(self._settings.lease / 4)
            at = time.monotonic()
            try:
                await self._visits.renew(work.visit, self._settings.lease)
                work.renewed_at = at
            except LostLease:
                work.lost = True
                if task:
                    task.cancel()
                return
            except Exception as error:
                log.warning("renewal_failed", error=type(error).__name__)

    async def _settle(self, visit: Visit, outcome: Ending | BaseException) -> None:
        settled = settlement(visit, outcome)
        if settled is None:
            LEASES_LOST.inc()
            log.warning("lease_lost")
            return
        level = (
            log.error
            if settled.reason == "unexpected_error"
            else log.warning
            if settled.state == "parked"
            else log.info
        )
        if (settled.state, settled.reason) != ("waiting", visit.waiting_for):
            level("visit_" + settled.state, reason=settled.reason, detail=settled.detail, next_in=settled.next_in)
        try:
            await self._visits.settle(visit, settled)
        except LostLease:
            LEASES_LOST.inc()
        except Retryable as failure:
            log.warning("settling_failed", reason=failure.reason, detail=failure.detail)
        if settled.next_in is not None and settled.next_in < self._settings.poll:
            asyncio.get_running_loop().call_later(settled.next_in, self._wake.set)

    async def _stop(self, grace: float) -> None:
        if self._running:
            _, pending = await asyncio.wait(self._running, timeout=grace)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        released = await self._visits.release(self._owner)
        if released:
            log.info("visits_released", count=released)
