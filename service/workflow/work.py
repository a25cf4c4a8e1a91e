"""One run of the reconciler over one visit: what it may use, and how it takes a step exactly once.

A run may be cut off anywhere. So the intent of a step is committed before the step is begun (the claim commits those
that can be foreseen), and whoever finds an intent without a result looks before repeating. Results are saved together:
at the latest when the run ends, and earlier where a further step must not happen before they are known.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from service.errors import LostLease, NeedsPerson, Retryable
from service.fhir.profile import Profile
from service.fhir.references import ForeignBase, Reference, referenced
from service.settings import Notes
from service.telemetry import STEP_SECONDS, STEPS, STEPS_ADOPTED
from service.workflow.ports import Ambient, AnswerLost, Ehr, Intents, Visits
from service.workflow.steps import kind_of
from service.workflow.visit import Fact, Progress, Taken, Visit

log = structlog.get_logger()

Result = Mapping[str, Any]
Answer = TypeVar("Answer")
GUARD = 0.4
"""Share of a lease after which nothing is sent any more: a runner that was paused must not act on a visit that may
have been taken over meanwhile. Together with a request's timeout, half a lease at most, it ends before the lease does."""

_UNANSWERED = ("engine_timeout", "engine_unreachable")


class Stopping(Exception):
    """The process is to stop: the run ends between two steps, and another process goes on from there."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """Where notes go and how they must look there. `author` is the policy of `AMBIENT_EHR__AUTHOR`."""

    ehr: Ehr
    profile: Profile
    author: str


@dataclass(slots=True)
class Work:
    """`renewed_at` is the monotonic time just before the lease was last renewed; the runner keeps it current.
    `results` are those of all finished steps, `begun` the steps of this run and when it began them."""

    visit: Visit
    visits: Visits
    ambient: Ambient
    addressee: Addressee
    notes: Notes
    channel_roles: list[str]
    lease: float
    renewed_at: float = field(default_factory=time.monotonic)
    lost: bool = False
    stopping: bool = False
    results: dict[str, Result] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    _ended: dict[str, float] = field(default_factory=dict)
    _intended: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.results = {step.name: step.result for step in self.visit.steps.values() if step.finished_at}
        self._intended = set(self.visit.intended)

    @property
    def ehr(self) -> Ehr:
        return self.addressee.ehr

    @property
    def interaction_of(self) -> str | None:
        """The patient for whom the interaction was made, or may have been."""
        begun = self.visit.steps.get("interaction")
        known = self.results.get("interaction") or (begun.result if begun else {})
        return known.get("patient")

    async def once(
        self,
        step: str,
        do: Callable[[], Awaitable[Result]],
        look: Callable[[], Awaitable[Result | None]] | None = None,
        *,
        intent: Result | None = None,
        only_looks: bool = False,
    ) -> Result:
        """The step's result, where it was taken before; else takes it.

        Where an earlier run left an intent without a result, `look` finds out whether the step was carried out all the
        same, and its finding is adopted. A step that `only_looks` changes nothing outside and needs no intent. `intent` is
        what a later run must know even if this one is cut off.
        Raises LostLease, Stopping, and whatever `do` raises.
        """
        if step in self.results:
            return self.results[step]
        if self.stopping:
            raise Stopping
        if not only_looks and step not in self._intended:
            await self.save({step: intent or {}})
        known = self.visit.steps.get(step)
        self.begun[step] = began = time.monotonic()
        found = await look() if known and look else None
        result = await do() if found is None else found
        self._note(step, "done" if found is None else "adopted", time.monotonic() - began)
        return self.keep(step, result)

    def keep(self, step: str, result: Result) -> Result:
        """The step is finished: its result is saved with the next commit of this run."""
        self.begun.setdefault(step, time.monotonic())
        self._ended[step] = time.monotonic()
        self.results[step] = result
        return result

    async def save(self, intents: Intents | None = None) -> None:
        """One commit for all results that the database does not have yet, and for further intents."""
        taken = self._taken(finished=True)
        if taken or intents:
            await self.visits.save(self.visit, taken, intents or {})
            self._ended.clear()
            self._intended.update(intents or {})

    def progress(self) -> Progress:
        """What the end of this run still has to save."""
        untouched = [step for step in self._intended if step not in self.begun and step not in self.results]
        return Progress(self._taken(finished=True) + self._taken(finished=False), untouched)

    def _taken(self, *, finished: bool) -> list[Taken]:
        now = time.monotonic()
        if finished:
            return [
                Taken(step, self._began(step, now), now - at, self.results[step]) for step, at in self._ended.items()
            ]
        return [Taken(step, now - at) for step, at in self.begun.items() if step not in self.results]

    def _began(self, step: str, now: float) -> float | None:
        """A step that was looked at before goes on from its first look."""
        return None if step in self.visit.steps and step not in self._intended else now - self.begun[step]

    def _note(self, step: str, outcome: str, seconds: float) -> None:
        kind, known = kind_of(step), self.visit.steps.get(step)
        STEPS.labels(kind, outcome).inc()
        if outcome == "adopted":
            STEPS_ADOPTED.labels(kind).inc()
        STEP_SECONDS.labels(kind).observe(seconds)
        log.info("step_done", step=step, seconds=round(seconds, 3), attempt=known.attempts + 1 if known else 1)

    async def send(self, changing: Callable[[], Awaitable[Answer]]) -> Answer:
        """Everything that changes something outside goes through here. Raises LostLease when too much of the lease has
        passed to send anything safely.

        What was sent and not answered may be under way on the other side still: whoever looks too soon finds nothing and
        does it twice. So Retryable then wishes for as long as a request may take at most.
        """
        if time.monotonic() - self.renewed_at > GUARD * self.lease:
            raise LostLease(f"visit {self.visit.id}: {GUARD:.0%} of the lease has passed")
        try:
            return await changing()
        except AnswerLost:
            raise self._unanswered("answer_lost", "the EHR did not answer a write; it is looked for first") from None
        except Retryable as failure:
            if failure.reason not in _UNANSWERED:
                raise
            raise self._unanswered(failure.reason, failure.detail) from None

    def _unanswered(self, reason: str, detail: str) -> Retryable:
        return Retryable(reason, detail, after=self.lease / 2)

    async def forget(self, *steps: str) -> None:
        """For steps whose effect is gone or failed for good: the next run takes them anew."""
        await self.visits.forget(self.visit, steps)
        for step in steps:
            self.results.pop(step, None)
            self.begun.pop(step, None)
            self._ended.pop(step, None)
            self._intended.discard(step)

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
