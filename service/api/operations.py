"""The operations API: visits and dead letters, listed, shown, retried, replayed, discarded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import AwareDatetime

from service.api.ports import DeadLetters, VisitRecords
from service.api.replay import replay, would_replay
from service.workflow.ports import Broker, PublishFailed

State = Literal["waiting", "working", "done", "parked", "cancelled"]
LetterState = Literal["open", "replayed", "discarded"]
Limit = Annotated[int, Query(ge=1, le=500)]
Before = Annotated[AwareDatetime | None, Query(description="the last row's time on the page before, with its offset")]
Name = Annotated[str, Path(max_length=200, pattern=r"^[^\x00]*$")]


def visits_router(records: VisitRecords, wake: Any) -> APIRouter:
    """`wake` is the event that tells this process's runners to look."""
    router = APIRouter(prefix="/visits", tags=["operations"])

    @router.get("", summary="List visits, newest change first")
    async def list_visits(state: State | None = None, limit: Limit = 100, before: Before = None) -> dict[str, Any]:
        return {"visits": await records.list_visits(state, limit, before)}

    @router.get("/{visit:path}", summary="Show a visit: facts, steps, timings, evidence")
    async def show_visit(visit: Name) -> dict[str, Any]:
        shown = await records.show_visit(visit)
        if shown is None:
            raise HTTPException(404, "visit not found")
        return shown

    @router.post("/{visit:path}/retry", status_code=202, summary="Take a visit up again now")
    async def retry_visit(visit: Name) -> dict[str, Any]:
        if not await records.retry_visit(visit):
            raise HTTPException(404, "visit not found")
        wake.set()
        return {"retried": visit}

    return router


def dead_letters_router(letters: DeadLetters, broker: Broker, ehr_base: str, max_message: int) -> APIRouter:
    router = APIRouter(prefix="/dead-letters", tags=["operations"])

    @router.get("", summary="List dead letters, newest first")
    async def list_letters(
        state: LetterState | None = "open", limit: Limit = 100, before: Before = None
    ) -> dict[str, Any]:
        return {"deadLetters": await letters.list_letters(state, limit, before)}

    @router.get("/{letter}", summary="Show a dead letter with its body")
    async def show_letter(letter: Name) -> dict[str, Any]:
        shown = await letters.show_letter(letter)
        if shown is None:
            raise HTTPException(404, "dead letter not found")
        return shown

    @router.post("/{letter}/replay", summary="Publish a dead letter again, or say what that would do")
    async def replay_letter(letter: Name, dry_run: Annotated[bool, Query(alias="dryRun")] = False) -> dict[str, Any]:
        with _failures_answered():
            if dry_run:
                done = await would_replay(letter, letters, ehr_base, max_message)
            else:
                done = await replay(letter, letters, broker, ehr_base, max_message)
        return {"verdict": done.verdict, "reason": done.reason, "events": list(done.events)}

    @router.post("/{letter}/discard", summary="Close a dead letter; it stays stored")
    async def discard_letter(letter: Name) -> dict[str, Any]:
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
