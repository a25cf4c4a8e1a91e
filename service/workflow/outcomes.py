"""How a run of the reconciler ends for its visit: the one place that turns exceptions into states."""

from __future__ import annotations

import random

from service.errors import BadConfiguration, LostLease, NeedsPerson, NotYet, Retryable
from service.telemetry import describe, frames
from service.workflow.reconcile import Ending
from service.workflow.visit import Settlement, Visit
from service.workflow.work import Stopping

UNEXPECTED = "unexpected_error"
LONGEST_BACKOFF = 300.0
MOST_ATTEMPTS = 300
"""About a day of failures in a row at the longest backoff; then a person is asked."""


def settlement(visit: Visit, outcome: Ending | BaseException) -> Settlement | None:
    """None when the lease is lost: whoever holds it now settles the visit."""
    match outcome:
        case Ending(state, reason):
            return Settlement(state, reason, None, None, 0)
        case LostLease():
            return None
        case Stopping():
            return Settlement("waiting", "process_stopped", None, 0.0, visit.attempts, visit.waiting_for)
        case NotYet() as wait:
            return _wait(visit, wait)
        case Retryable() as failure:
            return _try_again(visit, failure)
        case NeedsPerson() as stop:
            return Settlement("parked", stop.reason, stop.detail or None, None, 0)
        case BadConfiguration() as wrong:
            return Settlement("parked", "configuration", str(wrong), None, 0)
        case bug:
            return unexpected(bug)


def unexpected(bug: BaseException) -> Settlement:
    return Settlement("parked", UNEXPECTED, "\n".join([describe(bug), *frames(bug)]), None, 0)


def _try_again(visit: Visit, failure: Retryable) -> Settlement:
    """Where nothing was sent, because the destination is parked, no attempt counts: it is waited for as long as it takes."""
    if failure.parked:
        own = 2.0 ** min(visit.attempts, 10) if visit.attempts else 0.0
        after = _jittered(max(failure.after or 0.0, own))
        return Settlement("waiting", failure.reason, None, after, visit.attempts, visit.waiting_for, failure.parked)
    if visit.attempts >= MOST_ATTEMPTS:
        gave_up = f"gave up after {visit.attempts} attempts; {failure.detail}".rstrip("; ")
        return Settlement("parked", failure.reason, gave_up, None, 0)
    after, detail = _backoff(visit, failure), failure.detail or None
    return Settlement("waiting", failure.reason, detail, after, visit.attempts + 1, visit.waiting_for)


def _wait(visit: Visit, wait: NotYet) -> Settlement:
    """News during a run starts it again, ever later while news keeps coming; it leaves other waits' clocks alone."""
    if wait.reason == "changed_meanwhile":
        if visit.attempts >= MOST_ATTEMPTS:
            detail = f"the EHR said something else at each of {visit.attempts} readings"
            return Settlement("parked", wait.reason, detail, None, 0)
        soon = min(0.05 * 2.0 ** min(visit.attempts, 13), LONGEST_BACKOFF)
        return Settlement("waiting", wait.reason, None, soon, visit.attempts + 1, visit.waiting_for)
    if wait.at_most is not None and visit.waiting_for == wait.reason and visit.waited >= wait.at_most:
        detail = f"waited {visit.waited:.0f} s; {wait.detail}".rstrip("; ")
        return Settlement("parked", wait.reason, detail, None, 0)
    return Settlement("waiting", wait.reason, wait.detail or None, _next_look(visit, wait), 0, wait.reason)


def _next_look(visit: Visit, wait: NotYet) -> float:
    """As the step wishes, but no later than the end of what it may wait."""
    if wait.at_most is None:
        return wait.after
    waited = visit.waited if visit.waiting_for == wait.reason else 0.0
    return max(min(wait.after, wait.at_most - waited), 0.0)


def _backoff(visit: Visit, failure: Retryable) -> float:
    """Doubling from one second, and no sooner than the other side asked for. Jitter keeps visits apart."""
    wished = max(failure.after or 0.0, 2.0 ** min(visit.attempts, 10))
    return _jittered(wished)


def _jittered(seconds: float) -> float:
    return min(max(seconds, 1.0), LONGEST_BACKOFF) * random.uniform(1.0, 1.25)  # noqa: S311 - jitter, not a secret
