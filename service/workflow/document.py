"""The document: one draft per template and content revision, adopted by its name when its answer was lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from service.errors import NeedsPerson, NotYet
from service.fhir.codes import DOCUMENT_TYPES
from service.workflow.ports import Document
from service.workflow.work import Result, Work

Draft = Callable[[], Awaitable[Document]]


async def ensure_document(
    work: Work, interaction: str, template: str, revision: str, transcripts: Sequence[Result]
) -> Result:
    """`{id, name, evidence}`: per section the segments that each of its sentences rests on, without their text.

    Raises NeedsPerson `no_speech` when nobody said anything: an empty transcript never becomes a note.
    """
    name = f"{template} {revision}"

    async def create() -> Result:
        segments = await _segments(work, interaction, transcripts)
        document = await work.send(
            lambda: work.ambient.create_document(
                interaction, template=template, name=name, language=work.notes.language, segments=segments
            )
        )
        return _drafted(document)

    async def look() -> Result | None:
        found = await work.ambient.find_document(interaction, name)
        return _drafted(found) if found else None

    return await work.once(document_step(template, revision), create, look)


def document_step(template: str, revision: str) -> str:
    return f"document:{template}:{revision}"


def draft_to_file(work: Work, interaction: str, template: str, revision: str, document: Result) -> Draft:
    """Fetches the drafted document when it is really to be filed."""
    step = document_step(template, revision)

    async def fetch() -> Document:
        found = await work.ambient.find_document(interaction, str(document["name"]))
        if found is None:
            await work.forget(step)
            raise NeedsPerson(
                "document_gone", "the ambient API no longer has the document: retry the visit to draft another"
            )
        if wrong := _unlike_what_was_asked(found, template, work.notes.templates):
            await work.send(lambda: work.ambient.delete_document(interaction, found.id))
            await work.forget(step)
            raise NeedsPerson("document_not_as_asked", f"{wrong}: retry the visit to draft another")
        return found

    return fetch


def _unlike_what_was_asked(document: Document, template: str, templates: Sequence[str]) -> str | None:
    """Why it must not be filed under the code of `template`. A template's name that nobody knows may be an id of the engine's
    own, and sections may have any names: they stand in the note as they came."""
    if document.template != template and document.template in {*DOCUMENT_TYPES, *templates}:
        return f"the document is a {document.template}, not a {template}"
    return None if document.sections else "the document has no sections"


async def _segments(work: Work, interaction: str, transcripts: Sequence[Result]) -> list[dict[str, Any]]:
    """All transcripts of the visit in the order of their recordings; segment ids are made unique across them."""
    segments: list[dict[str, Any]] = []
    for known in transcripts:
        transcript = await work.ambient.get_transcript(interaction, str(known["id"]))
        if transcript is None or transcript.status != "completed":
            if transcript is None or transcript.status == "failed":
                await work.forget(*(step for step, result in work.results.items() if _is_of(step, known, result)))
            raise NotYet("transcript_not_readable", after=5, at_most=work.notes.incomplete_wait)
        segments += [_unique(transcript.id, segment) for segment in transcript.segments]
    if not any(str(segment.get("text", "")).strip() for segment in segments):
        raise NeedsPerson("no_speech", "nothing was said in the recording, so there is nothing to write down")
    return segments


def _is_of(step: str, transcript: Result, result: Result) -> bool:
    return step.startswith(("transcript:", "transcribed:")) and result.get("id") == transcript["id"]


def _unique(transcript: str, segment: Mapping[str, Any]) -> dict[str, Any]:
    return {**segment, "id": f"{transcript}#{segment['id']}"} if segment.get("id") else dict(segment)


def _drafted(document: Document) -> Result:
    evidence = {
        section.key: [sentence.get("segments", []) for sentence in section.evidence] for section in document.sections
    }
    return {"id": document.id, "name": document.name, "evidence": evidence}
