"""Documents: a template filled from what was said; every sentence names the segments it rests on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Header, Response

from service.ambient.document_context import context_segments
from service.ambient.errors import BAD_LANGUAGE, NO_DOCUMENT, ApiError
from service.ambient.ports import Interaction, NoteWriter, SectionDraft, Segment, Sentence, StoredDocument
from service.ambient.rooms import DocumentId, KnownInteraction, Rooms, no_interaction
from service.ambient.routing import SlashTolerant, described, json_body
from service.ambient.schemas import CreateDocument, DocumentList, DocumentResponse, DocumentSection
from service.ambient.template_files import Template
from service.ambient.templates import known_template

router = SlashTolerant(tags=["documents"])

_RETENTION = "X-Corti-Retention-Policy"


@router.post(
    "/interactions/{interaction}/documents/",
    status_code=201,
    response_model_exclude_none=True,
    openapi_extra=described(CreateDocument),
)
async def create_document(
    rooms: Rooms,
    found: KnownInteraction,
    response: Response,
    asked: Annotated[CreateDocument, Depends(json_body(CreateDocument))],
    retention: Annotated[str | None, Header(alias=_RETENTION)] = None,
) -> DocumentResponse:
    """With `X-Corti-Retention-Policy: none` the document is answered and not stored."""
    template = _checked_template(asked, rooms.writer)
    segments = context_segments(asked.context)
    keys = [section.key for section in template.sections]
    drafts = await asyncio.to_thread(rooms.writer.write, keys, segments)
    document = _new(found, asked, template, _sections(template, drafts, segments))
    if retention == "none":
        response.headers[_RETENTION] = "acknowledged"
    elif not await rooms.store.add_document(document):
        raise no_interaction()
    return _shown(document)


@router.get("/interactions/{interaction}/documents/", response_model_exclude_none=True)
async def list_documents(rooms: Rooms, found: KnownInteraction) -> DocumentList:
    return DocumentList(data=[_shown(document) for document in await rooms.store.list_documents(found.id)])


@router.get("/interactions/{interaction}/documents/{document}", response_model_exclude_none=True)
async def get_document(rooms: Rooms, found: KnownInteraction, document: DocumentId) -> DocumentResponse:
    stored = await rooms.store.get_document(found.id, document)
    if stored is None:
        raise _no_document()
    return _shown(stored)


@router.delete("/interactions/{interaction}/documents/{document}", status_code=204)
async def delete_document(rooms: Rooms, found: KnownInteraction, document: DocumentId) -> Response:
    if not await rooms.store.delete_document(found.id, document):
        raise _no_document()
    return Response(status_code=204)


def _checked_template(asked: CreateDocument, writer: NoteWriter) -> Template:
    """Raises ApiError 404 for an unknown template, 400 where it does not exist in that language."""
    template = known_template(asked.template_key, writer)
    if not template.speaks(asked.output_language):
        raise ApiError(400, BAD_LANGUAGE, "the template does not exist in outputLanguage")
    return template


def _sections(
    template: Template, drafts: Sequence[SectionDraft], segments: Sequence[Segment]
) -> tuple[dict[str, Any], ...]:
    """In the template's order; a section about which nothing was said has an empty text."""
    spoken = {segment.id: segment for segment in segments}
    written = {draft.key: draft.sentences for draft in drafts}
    return tuple(
        {
            "key": section.key,
            "name": section.name,
            "text": "\n".join(sentence.text for sentence in written.get(section.key, ())),
            "sort": sort,
            "evidence": [_evidence(sentence, spoken) for sentence in written.get(section.key, ())],
        }
        for sort, section in enumerate(template.sections)
    )


def _evidence(sentence: Sentence, spoken: Mapping[str, Segment]) -> dict[str, Any]:
    """A sentence resting on a segment that was never given is a bug of the writer: KeyError."""
    heard = [spoken[segment] for segment in sentence.evidence]
    evidence: dict[str, Any] = {"text": sentence.text, "segments": list(sentence.evidence)}
    if all(segment.end > 0 for segment in heard):
        evidence |= {"start": min(s.start for s in heard), "end": max(s.end for s in heard)}
    return evidence


def _new(
    interaction: Interaction, asked: CreateDocument, template: Template, sections: tuple[dict[str, Any], ...]
) -> StoredDocument:
    now = datetime.now(UTC)
    return StoredDocument(
        id=str(uuid4()),
        interaction_id=interaction.id,
        name=asked.name or template.name,
        template=template.key,
        language=asked.output_language,
        sections=sections,
        created_at=now,
        updated_at=now,
    )


def _shown(document: StoredDocument) -> DocumentResponse:
    times = {"createdAt": document.created_at, "updatedAt": document.updated_at}
    return DocumentResponse(
        id=document.id,
        name=document.name,
        template_ref=document.template,
        sections=[DocumentSection.model_validate({**section, **times}) for section in document.sections],
        created_at=document.created_at,
        updated_at=document.updated_at,
        output_language=document.language,
    )


def _no_document() -> ApiError:
    return ApiError(404, NO_DOCUMENT, "document not found")
