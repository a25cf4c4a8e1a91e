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

from service.ehr_settings import Ehr as EhrSettings
from service.errors import LostLease, NeedsPerson, Retryable
from service.fhir.profile import Profile
from service.fhir.references import ForeignBase, Reference
from service.settings import Notes
from service.telemetry import EHR_WRITES, STEP_SECONDS, STEPS, STEPS_ADOPTED
from service.workflow.ports import Ambient, AnswerLost, Ehr, Intents, Visits
from service.workflow.resolving import resolve
from service.workflow.steps import kind_of
from service.workflow.visit import Fact, Progress, Taken, Visit, WriteState

log = structlog.get_logger()

Result = Mapping[str, Any]
Answer = TypeVar("Answer")
GUARD = 0.4
"""Share of a lease after which nothing is sent any more: a runner that was paused must not act on a visit that may
have been taken over meanwhile. Together with a request's timeout, half a lease at most, it ends before the lease does."""

ANSWER_LOST = "answer_lost"
_PERHAPS_CARRIED_OUT = ("accepted_not_filed", "ehr_answered_errors")
_UNANSWERED = ("engine_timeout", "engine_unreachable")


class Stopping(Exception):
    """The process is to stop: the run ends between two steps, and another process goes on from there."""


@dataclass(slots=True)
class Observed:
    """What a note looked like when it was read back: once in each process, for EHRs leave out silently what they do not keep.
    `keeps_identifier` is None until it was asked for in the database."""

    read_back: bool = False
    keeps_identifier: bool | None = None


@dataclass(frozen=True, slots=True)
class Addressee:
    """Where notes go, how they must look there, and what this process has seen it do with them."""

    ehr: Ehr
    profile: Profile
    settings: EhrSettings
    observed: Observed = field(default_factory=Observed)


@dataclass(slots=True)
class Work:
    """`renewed_at` is the monotonic time just before the lease was last renewed; the runner keeps it current.
    `results` are those of all finished steps, `begun` the steps of this run and when it began them, `writes` what became of
    those that it sent to the EHR, and `sent` what the ledger keeps of them."""

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
    writes: dict[str, WriteState] = field(default_factory=dict)
    sent: dict[str, Result] = field(default_factory=dict)
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
        same, and its finding is adopted. A step that `only_looks` changes nothing outside, or nothing more when it is repeated, and needs no intent. `intent` is
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

    async def save(self, intents: Intents | None = None, writes: Intents | None = None) -> None:
        """One commit for all results that the database does not have yet, for further intents, and for `writes` that are
        about to be sent."""
        taken = self._taken(finished=True)
        if taken or intents or writes:
            await self.visits.save(self.visit, taken, intents or {}, writes or {})
            self._ended.clear()
            self._intended.update(intents or {})

    def progress(self) -> Progress:
        """What the end of this run still has to save."""
        untouched = [step for step in self._intended if step not in self.begun and step not in self.results]
        return Progress(self._taken(finished=True) + self._taken(finished=False), untouched, dict(self.writes))

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
        self._refuse_late()
        try:
            return await changing()
        except AnswerLost:
            raise self._unanswered(ANSWER_LOST, "the EHR did not answer a write; it is looked for first") from None
        except Retryable as failure:
            if failure.reason not in _UNANSWERED:
                raise
            raise self._unanswered(failure.reason, failure.detail) from None

    async def write(self, step: str, sent: Result, changing: Callable[[], Awaitable[Answer]]) -> Answer:
        """A write to the EHR by the ledger: noted as `sending` in a commit of its own, then sent.

        `sent` says how to find it again. What became of it is saved with the end of this run; a run that is cut off in
        between leaves it `sending`, and nobody knows whether it was carried out; nor does it after a refusal where an earlier
        answer was lost. Raises as `send` does.
        """
        self._refuse_late()
        known = self.visit.steps.get(step)
        in_doubt = known is not None and known.write is not None and known.write.in_doubt
        await self.save(writes={step: sent})
        self.sent[step] = sent
        self.writes[step] = "unknown"
        try:
            answer = await self.send(changing)
        except Retryable as failure:
            if failure.reason != ANSWER_LOST and not in_doubt:
                self.writes[step] = "planned"
            raise
        except NeedsPerson as refusal:
            if refusal.reason not in _PERHAPS_CARRIED_OUT and not in_doubt:
                self.writes[step] = "rejected"
            raise
        else:
            self.writes[step] = "filed"
            return answer
        finally:
            EHR_WRITES.labels(self.writes[step]).inc()

    def _refuse_late(self) -> None:
        if time.monotonic() - self.renewed_at > GUARD * self.lease:
            raise LostLease(f"visit {self.visit.id}: {GUARD:.0%} of the lease has passed")

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

    async def subject_of(self, fact: Fact | None) -> Reference | None:
        """The Patient that a resource is about. Raises NeedsPerson for a subject that cannot be a patient of this EHR, and
        what `resolve` raises."""
        if fact is None:
            return None
        try:
            subject = await resolve(self.ehr, fact, "subject", "Patient", self.notes.incomplete_wait)
        except ForeignBase:
            raise NeedsPerson("subject_elsewhere", f"{fact.reference} names a patient of another server") from None
        if subject is not None and subject.type != "Patient":
            raise NeedsPerson("subject_not_a_patient", f"{fact.reference} is about a {subject.type}")
        return subject
