"""The operations API: visits and dead letters, listed, shown, retried, replayed, discarded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, HTTPException

from service.api.operations_wire import (
    LETTER,
    VISIT,
    Before,
    DryRun,
    LetterName,
    LetterState,
    Limit,
    VisitName,
    VisitState,
    answered,
)
from service.api.ports import DeadLetters, VisitRecords
from service.api.replay import replay, would_replay
from service.workflow.ports import Broker, PublishFailed

_SHOWN_VISIT: dict[str, Any] = {**VISIT, "facts": [], "steps": [], "events": []}
_SHOWN_LETTER = {**LETTER, "headers": {}, "body": "{}"}
_REPLAYED = {"verdict": "replayed", "reason": "", "events": ["Media/m1"]}


def visits_router(records: VisitRecords, wake: Any) -> APIRouter:
    """`wake` is the event that tells this process's runners to look."""
    router = APIRouter(prefix="/visits", tags=["operations"])

    @router.get("", responses=answered(200, {"visits": [VISIT]}))
    async def list_visits(state: VisitState = None, limit: Limit = 100, before: Before = None) -> dict[str, Any]:
        """Newest change first."""
        return {"visits": await records.list_visits(state, limit, before)}

    @router.get("/{visit:path}", responses=answered(200, _SHOWN_VISIT, 404))
    async def show_visit(visit: VisitName) -> dict[str, Any]:
        """With its facts, its steps and how long they took, and the events that it rests on."""
        shown = await records.show_visit(visit)
        if shown is None:
            raise HTTPException(404, "visit not found")
        return shown

    @router.post("/{visit:path}/retry", status_code=202, responses=answered(202, {"retried": "Encounter/e1"}, 404))
    async def retry_visit(visit: VisitName) -> dict[str, Any]:
        """Makes it due now, whatever state it is in, and forgets how long it has waited."""
        if not await records.retry_visit(visit):
            raise HTTPException(404, "visit not found")
        wake.set()
        return {"retried": visit}

    return router


def dead_letters_router(letters: DeadLetters, broker: Broker, ehr_base: str, max_message: int) -> APIRouter:
    router = APIRouter(prefix="/dead-letters", tags=["operations"])

    @router.get("", summary="List dead letters", responses=answered(200, {"deadLetters": [LETTER]}))
    async def list_letters(state: LetterState = "open", limit: Limit = 100, before: Before = None) -> dict[str, Any]:
        """Newest first, without their bodies."""
        return {"deadLetters": await letters.list_letters(state, limit, before)}

    @router.get("/{letter}", summary="Show a dead letter", responses=answered(200, _SHOWN_LETTER, 404))
    async def show_letter(letter: LetterName) -> dict[str, Any]:
        """With its body: as `body`, or as `bodyBase64` where it is no text."""
        shown = await letters.show_letter(letter)
        if shown is None:
            raise HTTPException(404, "dead letter not found")
        return shown

    @router.post("/{letter}/replay", summary="Replay a dead letter", responses=answered(200, _REPLAYED, 404, 503))
    async def replay_letter(letter: LetterName, dry_run: DryRun = False) -> dict[str, Any]:
        """It is read again first, and published only if it can be taken in now; `verdict` says how it went."""
        with _failures_answered():
            if dry_run:
                done = await would_replay(letter, letters, ehr_base, max_message)
            else:
                done = await replay(letter, letters, broker, ehr_base, max_message)
        return {"verdict": done.verdict, "reason": done.reason, "events": list(done.events)}

    @router.post(
        "/{letter}/discard", summary="Discard a dead letter", responses=answered(200, {"discarded": LETTER["id"]}, 409)
    )
    async def discard_letter(letter: LetterName) -> dict[str, Any]:
        """Closes it; it stays stored."""
        if not await letters.settle_letter(letter, "discarded"):
            raise HTTPException(409, "no open dead letter with this id")
        return {"discarded": letter}

    return router


@contextmanager
def _failures_answered() -> Iterator[None]:
    try:
        yield
    except KeyError:
        raise HTTPException(404, "dead letter not found") from None
    except PublishFailed:
        raise HTTPException(503, "the broker did not confirm; replay it again", {"Retry-After": "5"}) from None
