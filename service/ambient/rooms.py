"""What the routes work with, and what each request names: a tenant, an interaction, ids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Path, Request
from fastapi.requests import HTTPConnection

from service.ambient.errors import BAD_ID, BAD_REQUEST, NO_INTERACTION, ApiError
from service.ambient.ports import Blobs, NoteWriter, Transcriber
from service.ambient.store import AmbientStore, Interaction
from service.ambient.template_files import Templates
from service.ambient.transcription import Recognisers
from service.settings import DEFAULT_TENANT, TENANT_NAME

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TENANT = re.compile(TENANT_NAME)


@dataclass(frozen=True, slots=True)
class AmbientRooms:
    """Open things, handed in by the composition root. `audio_max` in bytes, `audio_longest` in seconds.

    `sync_seconds`: how long creating a transcript waits for it. `public_url` names the service in websocket URLs;
    without it they name the host that the request was sent to.
    """

    store: AmbientStore
    blobs: Blobs
    transcriber: Transcriber
    writer: NoteWriter
    recognisers: Recognisers
    templates: Templates
    audio_max: int = 150 * 1024**2
    audio_longest: float = 7200.0
    sync_seconds: float = 25.0
    public_url: str | None = None


async def rooms_of(request: Request) -> AmbientRooms:
    return cast(AmbientRooms, request.state.ambient)


async def tenant_of(request: HTTPConnection) -> str:
    """The authenticated tenant where there is authentication; else the header `Tenant-Name`, else `base`."""
    tenant = getattr(request.state, "tenant", None) or request.headers.get("tenant-name") or DEFAULT_TENANT
    if not _TENANT.fullmatch(tenant):
        raise ApiError(400, BAD_REQUEST, "Tenant-Name is not a valid tenant name")
    return str(tenant)


def canonical_id(value: str) -> str:
    """A UUID in lower case. Raises ApiError 400."""
    if not _UUID.fullmatch(value):
        raise ApiError(400, BAD_ID, "an id in the path is not a UUID")
    return value.lower()


def _path_id(of: str) -> Any:
    return Path(
        description=f"id of the {of}",
        examples=["0f6e1c4e-6f0c-4d5e-9b1c-77aa12d0c1b2"],
        json_schema_extra={"format": "uuid"},
    )


Rooms = Annotated[AmbientRooms, Depends(rooms_of)]
Tenant = Annotated[str, Depends(tenant_of)]


async def interaction_id(interaction: Annotated[str, _path_id("interaction")]) -> str:
    return canonical_id(interaction)


async def recording_id(recording: Annotated[str, _path_id("recording")]) -> str:
    return canonical_id(recording)


async def transcript_id(transcript: Annotated[str, _path_id("transcript")]) -> str:
    return canonical_id(transcript)


async def document_id(document: Annotated[str, _path_id("document")]) -> str:
    return canonical_id(document)


async def fact_id(fact: Annotated[str, _path_id("fact")]) -> str:
    return canonical_id(fact)


InteractionId = Annotated[str, Depends(interaction_id)]
RecordingId = Annotated[str, Depends(recording_id)]
TranscriptId = Annotated[str, Depends(transcript_id)]
DocumentId = Annotated[str, Depends(document_id)]
FactId = Annotated[str, Depends(fact_id)]


async def known_interaction(rooms: Rooms, tenant: Tenant, interaction: InteractionId) -> Interaction:
    """Raises ApiError 404 for an unknown interaction and for one of another tenant alike."""
    found = await rooms.store.get_interaction(tenant, interaction)
    if found is None:
        raise no_interaction()
    return found


KnownInteraction = Annotated[Interaction, Depends(known_interaction)]


def no_interaction() -> ApiError:
    return ApiError(404, NO_INTERACTION, "interaction not found")
