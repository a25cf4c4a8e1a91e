"""Recordings: the request's body is the audio, streamed to Blobs and looked at before it is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from service.ambient.errors import BAD_REQUEST, LIMIT_REACHED, NO_RECORDING, ApiError
from service.ambient.ports import AudioFacts, Interaction, StoredBlob, StoredRecording, TooLarge, audio_key
from service.ambient.rooms import AmbientRooms, KnownInteraction, RecordingId, Rooms, no_interaction
from service.ambient.routing import SlashTolerant
from service.ambient.schemas import RecordingCreated, RecordingList
from service.errors import BadAudio

router = SlashTolerant(tags=["recordings"])

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/interactions/{interaction}/recording", status_code=201, include_in_schema=False)
@router.post("/interactions/{interaction}/recordings/", status_code=201, openapi_extra=_UPLOAD)
async def upload_recording(rooms: Rooms, found: KnownInteraction, request: Request) -> RecordingCreated:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > rooms.upload_limit:
        raise _too_large(rooms)
    recording = str(uuid4())
    try:
        blob = await rooms.blobs.write(audio_key(recording), request.stream(), rooms.upload_limit)
    except TooLarge:
        raise _too_large(rooms) from None
    facts = await _accept(rooms, found, recording, blob, request.headers.get("content-type"))
    return RecordingCreated(recording_id=recording, channels=facts.channels, duration_ms=facts.duration_ms)


async def _accept(
    rooms: AmbientRooms, interaction: Interaction, recording: str, blob: StoredBlob, content_type: str | None
) -> AudioFacts:
    """Audio that does not become a recording is deleted, whatever went wrong."""
    try:
        facts = await _probed(rooms, recording, blob)
        row = StoredRecording(
            id=recording,
            interaction_id=interaction.id,
            content_type=content_type,
            size=blob.size,
            sha256=blob.sha256,
            channels=facts.channels,
            duration_ms=facts.duration_ms,
            created_at=datetime.now(UTC),
        )
        if not await rooms.store.add_recording(row):
            raise no_interaction()
    except BaseException:
        await rooms.blobs.delete(audio_key(recording))
        raise
    return facts


async def _probed(rooms: AmbientRooms, recording: str, blob: StoredBlob) -> AudioFacts:
    if blob.size == 0:
        raise ApiError(400, BAD_REQUEST, "the recording is empty")
    async with rooms.blobs.as_file(audio_key(recording)) as audio:
        try:
            return await asyncio.to_thread(rooms.transcriber.probe, audio)
        except BadAudio as error:
            raise ApiError(400, BAD_REQUEST, f"the recording cannot be used: {error.reason}") from None


@router.get("/interactions/{interaction}/recordings/")
async def list_recordings(rooms: Rooms, found: KnownInteraction) -> RecordingList:
    return RecordingList(recordings=await rooms.store.list_recordings(found.id))


@router.get("/interactions/{interaction}/recordings/{recording}", response_class=StreamingResponse)
async def get_recording(rooms: Rooms, found: KnownInteraction, recording: RecordingId) -> Response:
    """The identical bytes."""
    stored = await rooms.store.get_recording(found.id, recording)
    if stored is None:
        raise no_recording()
    chunks = rooms.blobs.read(audio_key(recording))
    try:
        first = await anext(chunks)
    except FileNotFoundError:
        raise no_recording() from None
    headers = {"Content-Length": str(stored.size), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_from(first, chunks), media_type=_media_type(stored), headers=headers)


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _media_type(recording: StoredRecording) -> str:
    """Audio's own type; anything else could be made to run in a browser."""
    given = recording.content_type or ""
    return given if given.startswith(("audio/", "video/")) else "application/octet-stream"


@router.delete("/interactions/{interaction}/recordings/{recording}", status_code=204)
async def delete_recording(rooms: Rooms, found: KnownInteraction, recording: RecordingId) -> Response:
    """Deleting a recording that this interaction does not have succeeds too, as in the cloud."""
    if await rooms.store.get_recording(found.id, recording):
        await rooms.blobs.delete(audio_key(recording))
        await rooms.store.delete_recording(found.id, recording)
    return Response(status_code=204)


def no_recording() -> ApiError:
    return ApiError(404, NO_RECORDING, "recording not found")


def _too_large(rooms: AmbientRooms) -> ApiError:
    return ApiError(400, LIMIT_REACHED, f"the recording is larger than {rooms.upload_limit} bytes")
