"""The operations API: visits and dead letters, listed, shown, retried, replayed, discarded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Response

from service.api.operations_wire import (
    LETTER,
    PROVENANCE,
    VISIT,
    Before,
    BeforeId,
    DryRun,
    LetterName,
    LetterState,
    Limit,
    NoteReference,
    StepName,
    VisitName,
    VisitState,
    answered,
    known_query,
)
from service.api.ports import DeadLetters, VisitRecords
from service.api.replay import replay, would_replay
from service.api.terms import Terms
from service.errors import NotNow
from service.workflow.ports import Broker, PublishFailed
from service.workflow.preview import Preview
from service.workflow.visit import Visit

Thing = TypeVar("Thing")

_CHANGING = [Depends(known_query)]

_SHOWN_VISIT: dict[str, Any] = {**VISIT, "facts": [], "steps": [], "events": []}
_SHOWN_LETTER = {**LETTER, "headers": {}, "body": "{}"}
_PREVIEWED = {
    "verdict": "would_park",
    "step": None,
    "state": "parked",
    "reason": "no_speech",
    "detail": "nothing was said",
}
_WOULD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What would happen",
        "content": {"application/json": {"schema": {"type": "object"}, "example": _PREVIEWED}},
    }
}
_REPLAYED = {"verdict": "replayed", "reason": "", "events": ["Media/m1"]}


def visits_router(
    records: VisitRecords, wake: asyncio.Event, rehearse: Callable[[Visit], Awaitable[Preview]]
) -> APIRouter:
    """`wake` tells this process's runners to look; `rehearse` says what a run over a visit would do."""
    router = APIRouter(prefix="/visits", tags=["operations"])

    @router.get("", responses=answered(200, {"visits": [VISIT]}))
    async def list_visits(
        state: VisitState = None, limit: Limit = 100, before: Before = None, before_id: BeforeId = None
    ) -> dict[str, Any]:
        """Newest change first."""
        return {"visits": await records.list_visits(state, limit, before, before_id)}

    @router.get("/{visit:path}/provenance", responses=answered(200, {"provenance": [PROVENANCE]}, 404))
    async def show_provenance(visit: VisitName) -> dict[str, Any]:
        """Of each note of the visit: its Provenance in the EHR by `reference`; or as `resource`, where the EHR took none."""
        return {"provenance": list(_provenances(_found(await records.show_visit(visit), "visit")))}

    @router.get("/{visit:path}", responses=answered(200, _SHOWN_VISIT, 404))
    async def show_visit(visit: VisitName) -> dict[str, Any]:
        """With its facts, its steps and how long they took, and the events that it rests on."""
        return _found(await records.show_visit(visit), "visit")

    @router.post(
        "/{visit:path}/retry",
        status_code=202,
        dependencies=_CHANGING,
        responses=answered(202, {"retried": "Encounter/e1"}, 404) | _WOULD,
    )
    async def retry_visit(visit: VisitName, answer: Response, dry_run: DryRun = False) -> dict[str, Any]:
        """Makes it due now, whatever state it is in, and forgets how long it has waited.

        With `dryRun` nothing changes anywhere: `verdict` is what a retry would come to now, with what the EHR says now.
        `would_take` names the first `step` that would change anything.
        """
        if dry_run:
            answer.status_code = 200
            return asdict(await rehearse(_found(await records.find_visit(visit), "visit")))
        _found(await records.retry_visit(visit) or None, "visit")
        wake.set()
        return {"retried": visit}

    @router.post(
        "/{visit:path}/discard",
        dependencies=_CHANGING,
        responses=answered(200, {"discarded": "Encounter/e1"}, 404, 409),
    )
    async def discard_visit(visit: VisitName) -> dict[str, Any]:
        """Closes a visit that waits or is parked: it is `cancelled`, reason `discarded`. Notes that are filed stay as they
        are, and a later event opens it again."""
        with _failures_answered("visit"):
            await records.discard_visit(visit)
        return {"discarded": visit}

    @router.post(
        "/{visit:path}/resend",
        status_code=202,
        dependencies=_CHANGING,
        responses=answered(202, {"resent": "filed:corti-soap:0f2b5c0a9d1e4c77"}, 404, 409),
    )
    async def resend_note(visit: VisitName, step: StepName = None) -> dict[str, Any]:
        """For a visit parked as `write_unknown`, once somebody has looked into the chart: the note is not there, and is sent
        again. `step` names it where several are in doubt."""
        with _failures_answered("visit"):
            resent = await records.resend_note(visit, step)
        wake.set()
        return {"resent": resent}

    @router.post(
        "/{visit:path}/adopt",
        status_code=202,
        dependencies=_CHANGING,
        responses=answered(202, {"adopted": "filed:corti-soap:0f2b5c0a9d1e4c77"}, 404, 409),
    )
    async def adopt_note(visit: VisitName, reference: NoteReference, step: StepName = None) -> dict[str, Any]:
        """For a visit parked as `write_unknown`: the note stands in the EHR under this reference. It is read, and must be of
        this patient and Encounter."""
        with _failures_answered("visit"):
            adopted = await records.adopt_note(visit, reference, step)
        wake.set()
        return {"adopted": adopted}

    return router


def dead_letters_router(letters: DeadLetters, broker: Broker, terms: Terms) -> APIRouter:
    router = APIRouter(prefix="/dead-letters", tags=["operations"])

    @router.get("", summary="List dead letters", responses=answered(200, {"deadLetters": [LETTER]}))
    async def list_letters(
        state: LetterState = "open", limit: Limit = 100, before: Before = None, before_id: BeforeId = None
    ) -> dict[str, Any]:
        """Newest first, without their bodies."""
        return {"deadLetters": await letters.list_letters(state, limit, before, before_id)}

    @router.get("/{letter}", summary="Show a dead letter", responses=answered(200, _SHOWN_LETTER, 404))
    async def show_letter(letter: LetterName) -> dict[str, Any]:
        """With its body: as `body`, or as `bodyBase64` where it is no text."""
        return _found(await letters.show_letter(letter), "dead letter")

    @router.post(
        "/{letter}/replay",
        summary="Replay a dead letter",
        dependencies=_CHANGING,
        responses=answered(200, _REPLAYED, 404, 503),
    )
    async def replay_letter(letter: LetterName, dry_run: DryRun = False) -> dict[str, Any]:
        """It is read again first, and published only if it can be taken in now; `verdict` says how it went."""
        with _failures_answered("dead letter"):
            if dry_run:
                done = await would_replay(letter, letters, terms)
            else:
                done = await replay(letter, letters, broker, terms)
        return {"verdict": done.verdict, "reason": done.reason, "events": list(done.events)}

    @router.post(
        "/{letter}/discard",
        summary="Discard a dead letter",
        dependencies=_CHANGING,
        responses=answered(200, {"discarded": LETTER["id"]}, 409),
    )
    async def discard_letter(letter: LetterName) -> dict[str, Any]:
        """Closes it; it stays stored."""
        if not await letters.settle_letter(letter, "discarded"):
            raise HTTPException(409, "no open dead letter with this id")
        return {"discarded": letter}

    return router


def _provenances(visit: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """From the results of its steps; a note that was taken back keeps its own."""
    taken = {step["name"]: step["result"] for step in visit["steps"] if step["finishedAt"]}
    for name, result in taken.items():
        kind, _, key = name.partition(":")
        if kind == "provenance":
            note = taken.get(f"filed:{key}", {}).get("reference")
            yield {"note": note, "reference": result.get("reference"), "resource": result.get("kept")}


def _found(thing: Thing | None, what: str) -> Thing:
    if thing is None:
        raise HTTPException(404, f"{what} not found")
    return thing


@contextmanager
def _failures_answered(what: str) -> Iterator[None]:
    try:
        yield
    except KeyError:
        raise HTTPException(404, f"{what} not found") from None
    except NotNow as refused:
        raise HTTPException(409, str(refused)) from None
    except PublishFailed:
        raise HTTPException(503, "the broker did not confirm; replay it again", {"Retry-After": "5"}) from None
