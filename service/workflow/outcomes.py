"""How a run of the reconciler ends for its visit: the one place that turns exceptions into states."""

from __future__ import annotations

import random

from service.errors import BadConfiguration, LostLease, NeedsPerson, NotYet, Retryable
from service.telemetry import describe, frames
from service.workflow.reconcile import Ending
from service.workflow.visit import Settlement, Visit

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
        case NotYet() as wait:
            return _wait(visit, wait)
        case Retryable() as failure if visit.attempts >= MOST_ATTEMPTS:
            return Settlement(
                "parked",
                failure.reason,
                f"gave up after {visit.attempts} attempts; {failure.detail}".rstrip("; "),
                None,
                0,
            )
        case Retryable() as failure:
            return Settlement(
                "waiting",
                failure.reason,
                failure.detail or None,
                _backoff(visit, failure),
                visit.attempts + 1,
                visit.waiting_for,
            )
        case NeedsPerson() as stop:
            return Settlement("parked", stop.reason, stop.detail or None, None, 0)
        case BadConfiguration() as wrong:
            return Settlement("parked", "configuration", str(wrong), None, 0)
        case bug:
            return Settlement("parked", "unexpected_error", "\n".join([describe(bug), *frames(bug)]), None, 0)


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
    """What the other side asked for, within bounds; else doubling from one second. Jitter keeps visits apart."""
    wished = failure.after if failure.after is not None else 2.0 ** min(visit.attempts, 10)
    return min(max(wished, 1.0), LONGEST_BACKOFF) * random.uniform(1.0, 1.25)  # noqa: S311 - jitter, not a secret
