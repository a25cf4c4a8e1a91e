"""The operations API's parameters and answers, as its description shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, BeforeValidator

from service.ambient.wire.error import refusals
from service.ambient.wire.values import written_date

VISIT = {
    "id": "3a5e8f0e-7a2f-4f1e-9d55-0c8f4b2a6d10",
    "key": "Encounter/e1",
    "state": "parked",
    "reason": "note_edited",
    "detail": "",
    "nextAt": None,
    "attempts": 0,
    "createdAt": "2026-01-05T09:31:00Z",
    "updatedAt": "2026-01-05T09:40:00Z",
}
LETTER = {
    "id": "7d1f0c52-66b1-4a57-8a44-5b8a0f9e2c31",
    "reason": "not_fhir",
    "detail": "",
    "state": "open",
    "transport": "rabbitmq",
    "routingKey": "fhir.Media.update",
    "messageId": "m-1",
    "contentType": "application/fhir+json",
    "size": 2,
    "receivedAt": "2026-01-05T09:31:00Z",
    "settledAt": None,
}
PROVENANCE = {"note": "DocumentReference/41", "reference": "Provenance/42", "resource": None}
_NAME = r"^[^\x00]*$"

Limit = Annotated[int, Query(ge=1, le=500, description="rows of a page")]
Before = Annotated[
    AwareDatetime | None,
    BeforeValidator(written_date),
    Query(description="the last row's time on the page before, with its offset"),
]
BeforeId = Annotated[
    str | None,
    Query(
        alias="beforeId",
        max_length=200,
        pattern=_NAME,
        description="the last row's id, beside its time in `before`: rows of one moment may be on two pages",
    ),
]
VisitState = Annotated[
    Literal["waiting", "working", "done", "parked", "cancelled"] | None, Query(description="only those in this state")
]
LetterState = Annotated[Literal["open", "replayed", "discarded"] | None, Query(description="only those in this state")]
VisitName = Annotated[
    str, Path(max_length=200, pattern=_NAME, description="its id, or its key", examples=["Encounter/e1"])
]
LetterName = Annotated[str, Path(max_length=200, pattern=_NAME, description="its id", examples=[LETTER["id"]])]
StepName = Annotated[
    str | None,
    Query(max_length=200, pattern=_NAME, description="the step whose note is meant, where several are in doubt"),
]
NoteReference = Annotated[
    str,
    Query(
        pattern=r"^DocumentReference/[A-Za-z0-9.-]{1,64}$",
        description="where the note stands in the EHR",
        examples=["DocumentReference/d1"],
    ),
]
DryRun = Annotated[bool, Query(alias="dryRun", description="only say what would happen")]


def known_query(request: Request) -> None:
    """Refuses a query parameter that the route does not have: a `dryRun` that is misspelt must change nothing."""
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise RequestValidationError([{"loc": ("query", name), "msg": "no such parameter"} for name in unknown])


def answered(status: int, example: dict[str, Any], *refused: int) -> dict[int | str, dict[str, Any]]:
    """How a route's answer and its refusals are described."""
    return {**refusals(400, 401, 403, *refused, 500), status: {"content": {"application/json": {"example": example}}}}
