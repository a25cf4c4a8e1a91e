"""One run over one claimed visit: the lease is kept while it is reconciled, and its end is settled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from service.errors import LostLease, NeedsPerson, Retryable
from service.telemetry import LEASES_LOST, WRONG_CHART, frames
from service.workflow.outcomes import UNEXPECTED, settlement, unexpected
from service.workflow.reconcile import Ending, reconcile
from service.workflow.visit import Progress, Settlement, Visit
from service.workflow.work import GUARD, Work

log = structlog.get_logger()

_RENEWALS = 4
"""In each lease."""
_SETTLE_AGAIN = 0.5


async def run(work: Work) -> Settlement | None:
    """How the visit was settled; None when the lease was lost, or the database is away: then another run takes it up."""
    try:
        async with lease_kept(work):
            outcome = await end_of(work)
    except LostLease as lost:
        outcome = lost
    return await _settle(work, outcome)


@asynccontextmanager
async def lease_kept(work: Work) -> AsyncIterator[None]:
    """Renews the lease until left. When it is lost, what goes on inside ends at once, and LostLease is raised."""
    task = asyncio.current_task()
    renewing = asyncio.create_task(_renew(work, task))
    try:
        yield
    except asyncio.CancelledError:
        if not work.lost:
            raise
        if task:
            task.uncancel()
        raise LostLease(f"visit {work.visit.id}") from None
    finally:
        renewing.cancel()


async def end_of(work: Work) -> Ending | Exception:
    """How the reconciler ends for this visit. Raises CancelledError alone."""
    try:
        return await reconcile(work)
    except Exception as error:
        return error


async def _renew(work: Work, task: asyncio.Task[object] | None) -> None:
    """Keeps the lease while a step runs; when it is lost, the work on the visit ends at once."""
    while True:
        await asyncio.sleep(work.lease / _RENEWALS)
        at = time.monotonic()
        try:
            await work.visits.renew(work.visit, work.lease)
            work.renewed_at = at
        except LostLease:
            work.lost = True
            if task:
                task.cancel()
            return
        except Exception as error:
            log.warning("renewal_failed", error=type(error).__name__)


async def _settle(work: Work, outcome: Ending | Exception) -> Settlement | None:
    """What the database refuses for good, such as a NUL in a text, parks the visit instead, without the results of this
    run: those must be looked for by the next."""
    if isinstance(outcome, NeedsPerson) and outcome.alarm:
        WRONG_CHART.inc()
    settled = settlement(work.visit, outcome)
    if settled is None:
        _lost()
        return None
    try:
        return await _save(work, settled, work.progress())
    except Exception as refused:
        settled = unexpected(refused)
    try:
        return await _save(work, settled, Progress())
    except Exception as error:
        log.error("settling_failed", error=error, frames=frames(error))
        return None


async def _save(work: Work, settled: Settlement, progress: Progress) -> Settlement | None:
    """Tries again while the database does not answer, for what is left of the lease: what is not saved here must be
    looked for by the next run."""
    while True:
        try:
            await work.visits.settle(work.visit, settled, progress)
        except LostLease:
            _lost()
            return None
        except Retryable as failure:
            log.warning("settling_failed", reason=failure.reason, detail=failure.detail)
            if time.monotonic() - work.renewed_at > GUARD * work.lease:
                return None
            await asyncio.sleep(_SETTLE_AGAIN)
        else:
            _tell(work.visit, settled)
            return settled


def _lost() -> None:
    LEASES_LOST.inc()
    log.warning("lease_lost")


def _tell(visit: Visit, settled: Settlement) -> None:
    """Waiting on for the same reason is no news."""
    if (settled.state, settled.reason) == ("waiting", visit.waiting_for):
        return
    level = "error" if settled.reason == UNEXPECTED else "warning" if settled.state == "parked" else "info"
    getattr(log, level)("visit_" + settled.state, reason=settled.reason, detail=settled.detail, next_in=settled.next_in)
