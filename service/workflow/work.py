"""One run of the reconciler over one visit: what it may use, and how it takes a step exactly once."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from service.errors import LostLease, NeedsPerson
from service.fhir.profile import Profile
from service.fhir.references import ForeignBase, Reference, referenced
from service.settings import Notes
from service.telemetry import STEP_SECONDS, STEPS, STEPS_ADOPTED
from service.workflow.ports import Ambient, Ehr, Visits
from service.workflow.visit import Fact, Visit

log = structlog.get_logger()

Result = Mapping[str, Any]
GUARD = 0.4
"""Share of a lease after which nothing is sent any more: a runner that was paused must not act on a visit that may
have been taken over meanwhile."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where notes go and how they must look there. `author` is the policy of `AMBIENT_EHR__AUTHOR`."""

    ehr: Ehr
    profile: Profile
    author: str


@dataclass(slots=True)
class Work:
    """`renewed_at` is the monotonic time just before the lease was last renewed; the runner keeps it current."""

    visit: Visit
    visits: Visits
    ambient: Ambient
    destination: Destination
    notes: Notes
    channel_roles: list[str]
    lease: float
    renewed_at: float = field(default_factory=time.monotonic)
    lost: bool = False
    results: dict[str, Result] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.results = {step.name: step.result for step in self.visit.steps.values() if step.finished_at}

    @property
    def ehr(self) -> Ehr:
        return self.destination.ehr

    async def once(
        self,
        step: str,
        do: Callable[[], Awaitable[Result]],
        look: Callable[[], Awaitable[Result | None]] | None = None,
        *,
        only_looks: bool = False,
    ) -> Result:
        """The step's saved result; else takes the step and saves its result before anything else happens.

        The intent is committed first. Where an earlier intent has no result, `look` finds out whether the step was
        carried out all the same, and its finding is adopted. A step that `only_looks` changes nothing outside, so its
        intent is committed at the first look alone. Raises LostLease, and whatever `do` raises.
        """
        if step in self.results:
            return self.results[step]
        kind, began = step.split(":", 1)[0], time.monotonic()
        known = self.visit.steps.get(step) if only_looks else None
        repeated = known.attempts if known else await self.visits.intend(self.visit, step)
        result = await look() if repeated and look else None
        if result is None:
            self.guard()
            result = await do()
            STEPS.labels(kind, "done").inc()
        else:
            STEPS.labels(kind, "adopted").inc()
            STEPS_ADOPTED.labels(kind).inc()
        await self.visits.finish(self.visit, step, result)
        self.results[step] = result
        seconds = time.monotonic() - began
        STEP_SECONDS.labels(kind).observe(seconds)
        log.info("step_done", step=step, seconds=round(seconds, 3), attempt=repeated + 1)
        return result

    async def forget(self, *steps: str) -> None:
        """For steps whose effect is gone or failed for good: the next run takes them anew."""
        await self.visits.forget(self.visit, steps)
        for step in steps:
            self.results.pop(step, None)

    def guard(self) -> None:
        """Raises LostLease when too much of the lease has passed to send anything safely."""
        if time.monotonic() - self.renewed_at > GUARD * self.lease:
            raise LostLease(f"visit {self.visit.id}: {GUARD:.0%} of the lease has passed")

    def subject_of(self, fact: Fact | None) -> Reference | None:
        """The Patient that a resource is about. Raises NeedsPerson for a subject that cannot be a patient of this EHR."""
        if fact is None:
            return None
        try:
            subject = referenced(fact.resource, "subject", base=self.ehr.base_url)
        except ForeignBase:
            raise NeedsPerson("subject_elsewhere", f"{fact.reference} names a patient of another server") from None
        if subject is not None and subject.type != "Patient":
            raise NeedsPerson("subject_not_a_patient", f"{fact.reference} is about a {subject.type}")
        return subject
