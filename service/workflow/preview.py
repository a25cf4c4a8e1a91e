"""What a run over a visit would do now: the reconciler itself, reading as ever, with nobody to write to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, cast

from service.errors import NotYet
from service.workflow.outcomes import settlement
from service.workflow.ports import Ambient, Ehr, Visits
from service.workflow.run import end_of
from service.workflow.visit import Fact, Visit
from service.workflow.work import Work

_MOST_READINGS = 10
_READING = ("read", "find", "search", "capabilities", "find_interaction", "find_interactions", "find_transcript", "find_document", "get_transcript",
            "list_recordings", "open_audio", "base_url", "name", "scribe")  # fmt: skip
_VERDICTS = {"waiting": "would_wait", "parked": "would_park", "done": "would_end", "cancelled": "would_end"}


@dataclass(frozen=True, slots=True)
class Preview:
    """`verdict` is `would_take` (the `step` that comes first of those that change anything), `would_wait`, `would_park` or
    `would_end` (in `state`); `reason` and `detail` are those that the visit would have then."""

    verdict: str
    step: str | None = None
    state: str | None = None
    reason: str | None = None
    detail: str | None = None

    def __str__(self) -> str:
        why = f"{self.reason}: {self.detail}" if self.reason and self.detail else self.reason or self.detail
        return " ".join(
            filter(None, [self.verdict, self.step, self.state if self.verdict == "would_end" else None, why])
        )


async def preview(work: Work) -> Preview:
    """As a retry would run: what the visit has waited so far is forgotten. What the EHR says anew is taken over in memory.

    `work` is only read from. Changes nothing in the database, at the ambient API or in the EHR.
    """
    notes = _NothingKept(work.visits)
    ehr, ambient = cast(Ehr, _OnlyReading(work.ehr)), cast(Ambient, _OnlyReading(work.ambient))
    tried = _Rehearsal(
        replace(work.visit, attempts=0, waiting_for=None, waited=0.0), cast(Visits, notes), ambient,
        replace(work.addressee, ehr=ehr, observed=replace(work.addressee.observed)), work.notes, work.channel_roles, lease=math.inf,
    )  # fmt: skip
    for _ in range(_MOST_READINGS):
        outcome = await end_of(tried)
        if not (isinstance(outcome, NotYet) and outcome.reason == "changed_meanwhile"):
            break
        tried.visit = notes.without_moved(tried.visit)
    if isinstance(outcome, _WouldChange):
        return Preview("would_take", step=[step for step in tried.begun if step not in tried.results][-1])
    settled = settlement(tried.visit, outcome)
    if settled is None:
        raise AssertionError("a lease without end was lost")
    return Preview(_VERDICTS[settled.state], None, settled.state, settled.reason, settled.detail or notes.moves())


class _WouldChange(Exception):
    """Here a run would change something."""


class _OnlyReading:
    """A counterpart of which only what is known to read can be called."""

    def __init__(self, real: object) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name) if name in _READING else _refused


def _refused(*_: object, **__: object) -> NoReturn:
    raise _WouldChange


class _Rehearsal(Work):
    """Leaves no trace in the log and the metrics either."""

    def _note(self, step: str, outcome: str, seconds: float) -> None: ...


class _NothingKept:
    """The visits' memory, as far as a run writes to it. `moved` are the resources that belong to another visit now."""

    def __init__(self, visits: Visits) -> None:
        self._visits = visits
        self._moved: dict[str, str] = {}

    async def save(self, visit: Visit, *_: object) -> None: ...

    async def identifier_kept(self, ehr: str) -> bool | None:
        return await self._visits.identifier_kept(ehr)

    async def forget(self, visit: Visit, steps: Sequence[str]) -> None: ...

    async def note_fact(self, visit: Visit, read: Fact, key: str, ehr: str) -> bool:
        if key != visit.key:
            self._moved[read.reference] = key
        return False

    async def is_overtaken(self, visit: Visit) -> bool:
        return False

    def without_moved(self, visit: Visit) -> Visit:
        return replace(visit, facts=tuple(fact for fact in visit.facts if fact.reference not in self._moved))

    def moves(self) -> str | None:
        return ", ".join(f"{resource} goes to {key}" for resource, key in self._moved.items()) or None
