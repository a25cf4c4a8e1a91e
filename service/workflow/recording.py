"""The recording: a Media's audio, streamed from the EHR into the ambient API, and checked against what the Media says."""

from __future__ import annotations

from functools import partial

import structlog

from service.errors import NeedsPerson, NotYet
from service.fhir.elements import Json, mapping
from service.telemetry import ORPHANS
from service.workflow.facts import read_fact, refuse_news
from service.workflow.measured import Measured
from service.workflow.ports import Absent, Expired
from service.workflow.visit import Fact, content_key
from service.workflow.work import Result, Work

log = structlog.get_logger()

_AGAIN = 30.0


async def ensure_recording(work: Work, interaction: str, media: Fact) -> Result:
    """`{id, media, sha256, size, channels}`. Raises NotYet while the audio is not there or not whole.

    An upload that was cut off may have left a recording behind; unknown ones are deleted before uploading again.
    """

    async def upload() -> Result:
        try:
            return await _uploaded(work, interaction, media, media.resource)
        except Expired:
            fresh = await _read_again(work, media)
        try:
            return await _uploaded(work, interaction, media, fresh)
        except Expired:
            raise NotYet(
                "audio_url_expired", after=_AGAIN, detail=media.reference, at_most=work.notes.incomplete_wait
            ) from None

    async def sweep() -> None:
        known = {result.get("id") for name, result in work.results.items() if name.startswith("recording:")}
        for stray in await work.ambient.list_recordings(interaction):
            if stray not in known:
                await work.send(partial(work.ambient.delete_recording, interaction, stray))
                ORPHANS.labels("recording").inc()

    return await work.once(recording_step(media), upload, sweep)


def recording_step(media: Fact) -> str:
    return f"recording:{media.id}:{content_key(media)}"


async def _uploaded(work: Work, interaction: str, media: Fact, resource: Json | None) -> Result:
    """Audio streams into the engine while it is read, so it is known whole only afterwards: what is not what the Media
    describes is deleted again, before anybody asks for its transcript. Raises NotYet, Expired."""
    content = mapping(resource, "content") or {}
    try:
        async with work.ehr.open_audio(content) as audio:
            measured = Measured(audio.chunks)
            recording = await work.send(
                partial(work.ambient.upload_recording, interaction, measured.chunks(), audio.content_type)
            )
    except Absent:
        raise NotYet(
            "audio_not_there", after=_AGAIN, detail=media.reference, at_most=work.notes.incomplete_wait
        ) from None
    except NeedsPerson as refused:
        if refused.reason == "recording_refused" and measured.whole and measured.differs(content):
            raise _incomplete(work, media, measured.differs(content)) from None
        raise
    if differs := measured.differs(content):
        await work.send(lambda: work.ambient.delete_recording(interaction, recording.id))
        raise _incomplete(work, media, differs)
    if not measured.knows_hash(content):
        log.info("audio_hash_unreadable", reference=media.reference)
    return {"id": recording.id, "media": media.reference, "channels": recording.channels, **measured.result()}


async def _read_again(work: Work, media: Fact) -> Json | None:
    """The Media as the EHR has it now: servers sign URLs anew at every read. Raises NotYet when it is another recording."""
    try:
        fact = await read_fact(work, media.reference)
    except Absent:
        raise NotYet("not_in_ehr", after=_AGAIN, detail=media.reference, at_most=work.notes.incomplete_wait) from None
    await refuse_news(work, fact)
    return fact.resource


def _incomplete(work: Work, media: Fact, element: str | None) -> NotYet:
    """`element` of the Media says something else than the bytes do."""
    detail = f"{media.reference} {element}"
    return NotYet("audio_incomplete", after=_AGAIN, detail=detail, at_most=work.notes.incomplete_wait)
