"""Interactions: one per visit, owned by a tenant; deleting one deletes everything that belongs to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import uuid4

from fastapi import Depends, Query, Request, Response
from pydantic import AfterValidator

from service.ambient.ports import Interaction, InteractionQuery, audio_key
from service.ambient.rooms import KnownInteraction, Rooms, Tenant, no_interaction
from service.ambient.routing import SlashTolerant, described, json_body
from service.ambient.schemas import (
    CreateInteraction,
    EncounterStatus,
    InteractionCreated,
    InteractionList,
    InteractionResponse,
    without_nul,
)

router = SlashTolerant(tags=["interactions"])

_Sort = Literal["id", "assignedUserId", "patient", "createdAt", "endedAt", "updatedAt"]


@router.post("/interactions/", status_code=201, openapi_extra=described(CreateInteraction))
async def create_interaction(
    rooms: Rooms,
    tenant: Tenant,
    request: Request,
    asked: Annotated[CreateInteraction, Depends(json_body(CreateInteraction))],
) -> InteractionCreated:
    interaction = _new(tenant, asked, datetime.now(UTC))
    await rooms.store.add_interaction(interaction)
    url = _websocket_url(request, rooms.public_url, interaction)
    return InteractionCreated(interaction_id=interaction.id, id=interaction.id, websocket_url=url, wss_url=url)


async def asked_page(
    sort: _Sort = "createdAt",
    direction: Literal["asc", "desc"] = "desc",
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000)] = 10,
    index: Annotated[int, Query(ge=1, le=10**9)] = 1,
    encounter_status: Annotated[list[EncounterStatus] | None, Query(alias="encounterStatus")] = None,
    patient: Annotated[str, AfterValidator(without_nul)] | None = None,
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
    return _shown(request, rooms.public_url, found)


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


def _shown(request: Request, public_url: str | None, interaction: Interaction) -> InteractionResponse:
    """`patient` and `encounter.period` are objects even when they were not given: the official client expects them."""
    period = {"startedAt": interaction.created_at.isoformat().replace("+00:00", "Z")}
    encounter: dict[str, Any] = {"period": period, **interaction.encounter}
    return InteractionResponse(
        id=interaction.id,
        assigned_user_id=interaction.assigned_user,
        encounter=encounter,
        patient=interaction.patient or {"identifier": ""},
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
