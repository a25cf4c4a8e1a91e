"""Transcripts: made by recognisers in the background; creating one waits a while for the result."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Query, Request, Response

from service.ambient.audit import Audit
from service.ambient.errors import BAD_LANGUAGE, BAD_REQUEST, NO_TRANSCRIPT, ApiError
from service.ambient.ports import Transcriber
from service.ambient.recordings import no_recording
from service.ambient.rooms import AmbientRooms, KnownInteraction, Rooms, TranscriptId, no_interaction
from service.ambient.routing import Described, described, json_body
from service.ambient.store import Interaction, StoredTranscript
from service.ambient.transcription import heard
from service.ambient.wire.transcripts import (
    CreateTranscript,
    SpokenSegment,
    TranscriptContent,
    TranscriptItem,
    TranscriptList,
    TranscriptMetadata,
    TranscriptResponse,
    TranscriptStatus,
)
from service.ambient.wire.values import LANGUAGE_TAG

router = Described(tags=["transcripts"])

_LOCATION = {
    "Location": {"description": "path of the transcript, while it is processing", "schema": {"type": "string"}}
}
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"headers": _LOCATION},
    202: {"model": TranscriptResponse, "description": "asked for with `async`: not heard yet", "headers": _LOCATION},
}

_SAMPLE = 200
_LOOK_EVERY = 1.0


@router.post(
    "/interactions/{interaction}/transcripts/",
    status_code=201,
    openapi_extra=described(CreateTranscript),
    responses=_CREATED,
)
async def create_transcript(
    rooms: Rooms,
    found: KnownInteraction,
    request: Request,
    response: Response,
    audit: Audit,
    asked: Annotated[CreateTranscript, Depends(json_body(CreateTranscript))],
) -> TranscriptResponse:
    """Waits up to 25 s for the result; then, or at once with `async`, answers `processing` and a `Location`."""
    language = await _checked_language(rooms.transcriber, asked)
    if await rooms.store.get_recording(found.id, asked.recording_id) is None:
        raise no_recording()
    transcript = _new(found, asked, language)
    if not await rooms.store.add_transcript(transcript):
        raise no_interaction()
    rooms.recognisers.created.ring()
    if asked.in_background:
        response.status_code = 202
    else:
        transcript = await _ended(rooms, transcript)
    if _status(transcript) == "processing":
        response.headers["Location"] = f"{request.url.path.rstrip('/')}/{transcript.id}"
    if transcript.segments:
        audit.gets("transcript", [transcript.id], "create")
    return _shown(transcript)


async def _ended(rooms: AmbientRooms, transcript: StoredTranscript) -> StoredTranscript:
    """As it is when it has ended or `sync_seconds` have passed. Raises ApiError 404 when it is deleted meanwhile."""
    deadline = monotonic() + rooms.sync_seconds
    while True:
        rung = rooms.recognisers.ended.listen()
        current = await rooms.store.get_transcript(transcript.interaction_id, transcript.id)
        if current is None:
            raise _no_transcript()
        left = deadline - monotonic()
        if current.status in ("completed", "failed") or left <= 0:
            return current
        await heard(rung, min(left, _LOOK_EVERY))


@router.get("/interactions/{interaction}/transcripts/", response_model_exclude_unset=True)
async def list_transcripts(
    rooms: Rooms,
    found: KnownInteraction,
    audit: Audit,
    full: Annotated[bool, Query(description="with what was said")] = False,
) -> TranscriptList:
    """All of them, each with a sample of its text; the whole of each with `full`."""
    stored = await rooms.store.list_transcripts(found.id)
    audit.gets("transcript", [transcript.id for transcript in stored if transcript.segments])
    return TranscriptList(transcripts=[_item(transcript, full) for transcript in stored])


@router.get("/interactions/{interaction}/transcripts/{transcript}")
async def get_transcript(
    rooms: Rooms, found: KnownInteraction, transcript: TranscriptId, audit: Audit
) -> TranscriptResponse:
    """While it is `processing`, without its text."""
    stored = await _known(rooms, found, transcript)
    audit.gets("transcript", [stored.id])
    return _shown(stored)


@router.get("/interactions/{interaction}/transcripts/{transcript}/status", response_model_exclude_none=True)
async def get_status(rooms: Rooms, found: KnownInteraction, transcript: TranscriptId) -> TranscriptStatus:
    """For callers that wait: ask again after a second, then less often."""
    stored = await _known(rooms, found, transcript)
    return TranscriptStatus(status=_status(stored), progress=stored.progress, reason=stored.reason)


@router.delete("/interactions/{interaction}/transcripts/{transcript}", status_code=204)
async def delete_transcript(rooms: Rooms, found: KnownInteraction, transcript: TranscriptId) -> Response:
    """One that is being made is given up."""
    if not await rooms.store.delete_transcript(found.id, transcript):
        raise _no_transcript()
    return Response(status_code=204)


async def _checked_language(transcriber: Transcriber, asked: CreateTranscript) -> str:
    """The language the transcriber is asked for: as given, else without its region. Raises ApiError 400."""
    channels = [participant.channel for participant in asked.participants or ()]
    if asked.diarize and channels and not asked.is_multichannel:
        raise ApiError(400, BAD_REQUEST, "participants cannot be named when one channel is diarized")
    if len(channels) != len(set(channels)):
        raise ApiError(400, BAD_REQUEST, "participants name a channel twice")
    given = asked.primary_language
    if re.fullmatch(LANGUAGE_TAG, given):
        for language in (given, given.split("-")[0].lower()):
            if await asyncio.to_thread(transcriber.supports, language):
                return language
    raise ApiError(400, BAD_LANGUAGE, "primaryLanguage is not supported")


def _new(interaction: Interaction, asked: CreateTranscript, language: str) -> StoredTranscript:
    participants = asked.participants
    return StoredTranscript(
        id=str(uuid4()),
        interaction_id=interaction.id,
        recording_id=asked.recording_id,
        language=language,
        multichannel=bool(asked.is_multichannel),
        participants=tuple(one.model_dump() for one in participants) if participants else None,
        created_at=datetime.now(UTC),
        options=_options(asked, language),
    )


def _options(asked: CreateTranscript, language: str) -> dict[str, Any] | None:
    """What `Wording.from_options` and the recogniser read; None when nothing but the usual was asked."""
    options: dict[str, Any] = {}
    if (asked.spoken_punctuation or asked.is_dictation) and language.lower().startswith("en"):
        options["punctuation"] = "spoken"
    elif asked.automatic_punctuation is False:
        options["punctuation"] = "none"
    if asked.replacements:
        options["replacements"] = [[pair.find, pair.replace] for pair in asked.replacements]
    if asked.keyterms and asked.keyterms.terms:
        options["keyterms"] = [keyterm.term for keyterm in asked.keyterms.terms]
    if asked.diarize:
        options["diarize"] = True
    return options or None


async def _known(rooms: AmbientRooms, interaction: Interaction, transcript: str) -> StoredTranscript:
    stored = await rooms.store.get_transcript(interaction.id, transcript)
    if stored is None:
        raise _no_transcript()
    return stored


def _shown(transcript: StoredTranscript) -> TranscriptResponse:
    return TranscriptResponse(
        id=transcript.id,
        recording_id=transcript.recording_id,
        status=_status(transcript),
        progress=transcript.progress,
        reason=transcript.reason,
        metadata=_metadata(transcript),
        transcripts=_segments(transcript),
    )


def _item(transcript: StoredTranscript, full: bool) -> TranscriptItem:
    sample = " ".join(segment.text for segment in transcript.segments)[:_SAMPLE]
    if not full:
        return TranscriptItem(id=transcript.id, transcript_sample=sample)
    content = TranscriptContent(metadata=_metadata(transcript), transcripts=_segments(transcript))
    return TranscriptItem(id=transcript.id, transcript_sample=sample, transcript=content)


def _status(transcript: StoredTranscript) -> str:
    return "processing" if transcript.status == "queued" else transcript.status


def _metadata(transcript: StoredTranscript) -> TranscriptMetadata:
    roles = transcript.participants
    return TranscriptMetadata(participants_roles=None if roles is None else list(roles))


def _segments(transcript: StoredTranscript) -> list[SpokenSegment]:
    return [SpokenSegment.model_validate(asdict(segment)) for segment in transcript.segments]


def _no_transcript() -> ApiError:
    return ApiError(404, NO_TRANSCRIPT, "transcript not found")
