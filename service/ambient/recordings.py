"""Recordings: the request's body is the audio, streamed to Blobs and looked at before it is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from service.ambient.audit import Audit
from service.ambient.containers import only_audio
from service.ambient.errors import BAD_REQUEST, LIMIT_REACHED, NO_RECORDING, ApiError
from service.ambient.ports import AudioFacts, StoredBlob, TooLarge, audio_key
from service.ambient.rooms import AmbientRooms, KnownInteraction, RecordingId, Rooms, no_interaction
from service.ambient.routing import Described
from service.ambient.store import Interaction, StoredRecording
from service.ambient.wire.recordings import RecordingCreated, RecordingList
from service.errors import BadAudio

router = Described(tags=["recordings"])

_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_AUDIO: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The audio",
        "content": {"audio/*": _BYTES, "video/*": _BYTES, "application/octet-stream": _BYTES},
    }
}


@router.post("/interactions/{interaction}/recording", status_code=201, include_in_schema=False)
@router.post("/interactions/{interaction}/recordings/", status_code=201, openapi_extra=_UPLOAD)
async def upload_recording(rooms: Rooms, found: KnownInteraction, request: Request) -> RecordingCreated:
    """The body is the audio: WAV, MP3, MP4 (M4A), WebM, Ogg or FLAC; AAC, AMR, AIFF and CAF too. Its bytes decide what it is, not its headers."""
    announced = request.headers.get("content-length", "")
    try:
        if announced.isdecimal() and int(announced) > rooms.audio_max:
            raise TooLarge
        return await _recorded(rooms, found, request)
    except TooLarge:
        raise ApiError(400, LIMIT_REACHED, f"the recording is larger than {rooms.audio_max} bytes") from None
    except BadAudio as error:
        raise _unusable(error, rooms) from None


async def _recorded(rooms: AmbientRooms, interaction: Interaction, request: Request) -> RecordingCreated:
    """Raises TooLarge, BadAudio; nothing is kept then. What is left behind otherwise is swept."""
    recording = str(uuid4())
    await rooms.store.begin_upload(recording)
    try:
        audio = only_audio(request.stream(), rooms.audio_longest)
        blob = await rooms.blobs.write(audio_key(recording), audio, rooms.audio_max)
        facts = await _probed(rooms, recording)
    except BaseException:
        await _discard(rooms, recording)
        raise
    if not await rooms.store.add_recording(_row(interaction, recording, blob, facts, request)):
        await _discard(rooms, recording)
        raise no_interaction()
    return RecordingCreated(recording_id=recording, channels=facts.channels, duration_ms=facts.duration_ms)


async def _discard(rooms: AmbientRooms, recording: str) -> None:
    await rooms.blobs.delete(audio_key(recording))
    await rooms.store.end_upload(recording)


async def _probed(rooms: AmbientRooms, recording: str) -> AudioFacts:
    async with rooms.blobs.as_file(audio_key(recording)) as audio:
        return await asyncio.to_thread(rooms.transcriber.probe, audio, rooms.audio_longest)


def _row(
    interaction: Interaction, recording: str, blob: StoredBlob, facts: AudioFacts, request: Request
) -> StoredRecording:
    return StoredRecording(
        id=recording,
        interaction_id=interaction.id,
        content_type=request.headers.get("content-type"),
        size=blob.size,
        sha256=blob.sha256,
        channels=facts.channels,
        duration_ms=facts.duration_ms,
        created_at=datetime.now(UTC),
    )


@router.get("/interactions/{interaction}/recordings/")
async def list_recordings(rooms: Rooms, found: KnownInteraction) -> RecordingList:
    """All of them, oldest first."""
    return RecordingList(recordings=await rooms.store.list_recordings(found.id))


@router.get("/interactions/{interaction}/recordings/{recording}", response_class=StreamingResponse, responses=_AUDIO)
async def get_recording(rooms: Rooms, found: KnownInteraction, recording: RecordingId, audit: Audit) -> Response:
    """The bytes that were uploaded, as the type that they were uploaded as when that is audio or video."""
    stored = await rooms.store.get_recording(found.id, recording)
    if stored is None:
        raise no_recording()
    chunks = rooms.blobs.read(audio_key(recording))
    try:
        first = await anext(chunks)
    except FileNotFoundError:
        raise no_recording() from None
    audit.gets("recording", [recording])
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


def _unusable(error: BadAudio, rooms: AmbientRooms) -> ApiError:
    if error.reason == "too_long":
        return ApiError(400, LIMIT_REACHED, f"the recording is longer than {rooms.audio_longest:g} seconds")
    return ApiError(400, BAD_REQUEST, f"the recording cannot be used: {error.reason}")
