"""Interactions: one per visit, owned by a tenant; deleting one deletes everything that belongs to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import uuid4

from fastapi import Depends, Query, Request, Response

from service.ambient.errors import DUPLICATE, ApiError
from service.ambient.ports import audio_key
from service.ambient.rooms import KnownInteraction, Rooms, Tenant, no_interaction
from service.ambient.routing import Described, described, json_body
from service.ambient.store import DuplicateIdentifier, Interaction, InteractionQuery
from service.ambient.wire.interactions import (
    ChangeInteraction,
    CreateInteraction,
    EncounterResponse,
    InteractionCreated,
    InteractionList,
    InteractionResponse,
    PatientResponse,
)
from service.ambient.wire.values import EncounterStatus, Text

router = Described(tags=["interactions"])

_Sort = Literal["id", "assignedUserId", "patient", "createdAt", "endedAt", "updatedAt"]


@router.post("/interactions/", status_code=201, openapi_extra=described(CreateInteraction))
async def create_interaction(
    rooms: Rooms,
    tenant: Tenant,
    request: Request,
    asked: Annotated[CreateInteraction, Depends(json_body(CreateInteraction))],
) -> InteractionCreated:
    """Raises 400 `A0017` when another interaction of the tenant has this `encounter.identifier`."""
    interaction = _new(tenant, asked, datetime.now(UTC))
    try:
        await rooms.store.add_interaction(interaction)
    except DuplicateIdentifier:
        raise _duplicate() from None
    url = _websocket_url(request, rooms.public_url, interaction)
    return InteractionCreated(interaction_id=interaction.id, id=interaction.id, websocket_url=url, wss_url=url)


async def asked_page(
    sort: Annotated[_Sort, Query(description="what the interactions are sorted by")] = "createdAt",
    direction: Annotated[Literal["asc", "desc"], Query(description="ascending or descending")] = "desc",
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000, description="interactions of a page")] = 10,
    index: Annotated[int, Query(ge=1, le=10**9, description="the page, counted from 1")] = 1,
    encounter_status: Annotated[
        list[EncounterStatus] | None, Query(alias="encounterStatus", description="only those in one of these states")
    ] = None,
    patient: Annotated[Text | None, Query(description="only those of the patient with this identifier")] = None,
) -> InteractionQuery:
    return InteractionQuery(
        patient=patient,
        statuses=tuple(encounter_status or ()),
        sort=sort,
        descending=direction == "desc",
        page_size=page_size,
        page=index,
    )


@router.get("/interactions/", response_model_exclude_none=True)
async def list_interactions(
    rooms: Rooms, tenant: Tenant, request: Request, query: Annotated[InteractionQuery, Depends(asked_page)]
) -> InteractionList:
    """One page; past the end an empty one."""
    found = await rooms.store.list_interactions(tenant, query)
    return InteractionList(interactions=[_shown(request, rooms.public_url, one) for one in found])


@router.get("/interactions/{interaction}", response_model_exclude_none=True)
async def get_interaction(rooms: Rooms, request: Request, found: KnownInteraction) -> InteractionResponse:
    """`patient` and `encounter.period` are objects even when none was given."""
    return _shown(request, rooms.public_url, found)


@router.patch(
    "/interactions/{interaction}", response_model_exclude_none=True, openapi_extra=described(ChangeInteraction)
)
async def change_interaction(
    rooms: Rooms,
    tenant: Tenant,
    request: Request,
    found: KnownInteraction,
    asked: Annotated[ChangeInteraction, Depends(json_body(ChangeInteraction))],
) -> InteractionResponse:
    """An empty object changes nothing."""
    if not asked.model_fields_set:
        return _shown(request, rooms.public_url, found)
    try:
        changed = await rooms.store.change_interaction(tenant, found.id, partial(changed_by, asked, datetime.now(UTC)))
    except DuplicateIdentifier:
        raise _duplicate() from None
    if changed is None:
        raise no_interaction()
    return _shown(request, rooms.public_url, changed)


@router.delete("/interactions/{interaction}", status_code=204)
async def delete_interaction(rooms: Rooms, tenant: Tenant, found: KnownInteraction) -> Response:
    """Audio goes before its rows, so that a failure in between leaves something that can be deleted again."""
    for recording in await rooms.store.list_recordings(found.id):
        await rooms.blobs.delete(audio_key(recording))
    went = await rooms.store.delete_interaction(tenant, found.id)
    if went is None:
        raise no_interaction()
    for recording in went:
        await rooms.blobs.delete(audio_key(recording))
    return Response(status_code=204)


def _new(tenant: str, asked: CreateInteraction, now: datetime) -> Interaction:
    period = asked.encounter.period
    return Interaction(
        id=str(uuid4()),
        tenant=tenant,
        assigned_user=asked.assigned_user_id or str(uuid4()),
        encounter=asked.encounter.model_dump(mode="json", by_alias=True, exclude_none=True),
        patient=asked.patient.model_dump(mode="json", by_alias=True, exclude_none=True) if asked.patient else {},
        ended_at=period.ended_at if period else None,
        created_at=now,
        updated_at=now,
    )


def changed_by(asked: ChangeInteraction, now: datetime, known: Interaction) -> Interaction:
    """The interaction with what was asked merged into it, field by field."""
    change = asked.model_dump(mode="json", by_alias=True, exclude_unset=True)
    encounter = _merged(known.encounter, change.get("encounter") or {}, needed=("identifier", "status", "type"))
    period = encounter.get("period") or {}
    changed = replace(
        known,
        assigned_user=asked.assigned_user_id or known.assigned_user,
        encounter=encounter,
        patient=_merged(known.patient, change.get("patient") or {}),
        ended_at=datetime.fromisoformat(period["endedAt"]) if "endedAt" in period else None,
    )
    return known if changed == known else replace(changed, updated_at=now)


def _merged(known: dict[str, Any], change: dict[str, Any], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """`null` takes a value away, unless it is needed."""
    merged = dict(known)
    for name, value in change.items():
        if isinstance(value, dict):
            merged[name] = _merged(known.get(name, {}), value, needed=("startedAt",))
        elif value is not None:
            merged[name] = value
        elif name not in needed:
            merged.pop(name, None)
    return merged


def _duplicate() -> ApiError:
    return ApiError(400, DUPLICATE, "another interaction has this encounter.identifier")


def _shown(request: Request, public_url: str | None, interaction: Interaction) -> InteractionResponse:
    """`patient` and `encounter.period` are objects even when they were not given: the official client expects them."""
    encounter = {"period": {"startedAt": interaction.created_at}, **interaction.encounter}
    return InteractionResponse(
        id=interaction.id,
        assigned_user_id=interaction.assigned_user,
        encounter=EncounterResponse.model_validate(encounter),
        patient=PatientResponse.model_validate(interaction.patient or {"identifier": ""}),
        ended_at=interaction.ended_at,
        created_at=interaction.created_at,
        updated_at=interaction.updated_at,
        last_updated=interaction.updated_at,
        websocket_url=_websocket_url(request, public_url, interaction),
    )


def _websocket_url(request: Request, public_url: str | None, interaction: Interaction) -> str:
    base = public_url.rstrip("/") if public_url else f"{request.url.scheme}://{request.url.netloc}"
    return (
        f"ws{base.removeprefix('http')}/audio-bridge/v2/interactions/{interaction.id}/streams"
        f"?tenant-name={quote(interaction.tenant)}"
    )
