"""Documents: a template filled from what was said; every sentence names the segments or facts it rests on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Header, Response

from service.ambient.audit import Audit
from service.ambient.document_context import material_of
from service.ambient.document_sections import (
    Kept,
    briefs_of,
    changed_sections,
    sections_with_times,
    written_sections,
)
from service.ambient.dynamic_template import template_asked
from service.ambient.errors import NO_DOCUMENT, ApiError
from service.ambient.ports import NoteWriter
from service.ambient.rooms import AmbientRooms, DocumentId, KnownInteraction, Rooms, no_interaction
from service.ambient.routing import Described, described, json_body
from service.ambient.store import StoredDocument
from service.ambient.template_files import Template, Templates
from service.ambient.wire.documents import (
    ChangeDocument,
    Context,
    CreateDocument,
    DocumentList,
    DocumentResponse,
    DocumentSection,
)

router = Described(tags=["documents"])

_RETENTION = "X-Corti-Retention-Policy"
_ACKNOWLEDGED = {
    "description": "`acknowledged` when the document was not kept",
    "schema": {"type": "string", "enum": ["acknowledged"]},
}
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"description": "The document", "headers": {_RETENTION: _ACKNOWLEDGED}}
}
_Retention = Annotated[
    str | None,
    Header(
        alias=_RETENTION,
        description="`none`: the document is answered and not kept; any other value changes nothing",
        examples=["none"],
    ),
]


@router.post(
    "/interactions/{interaction}/documents/",
    status_code=201,
    summary="Write a document",
    response_model_exclude_none=True,
    responses=_CREATED,
    openapi_extra=described(CreateDocument),
)
async def create_document(
    rooms: Rooms,
    found: KnownInteraction,
    response: Response,
    audit: Audit,
    asked: Annotated[CreateDocument, Depends(json_body(CreateDocument))],
    retention: _Retention = None,
) -> DocumentResponse:
    """Fills a template from the context of the request alone: neither stored transcripts nor stored facts are added.

    404 for an unknown template or section, 400 for a language that the template does not have.
    """
    document = await _written(rooms, found.id, asked)
    if retention and retention.strip().lower() == "none":
        response.headers[_RETENTION] = "acknowledged"
    elif not await rooms.store.add_document(document):
        raise no_interaction()
    audit.gets("document", [document.id], "create")
    return _shown(document)


@router.get("/interactions/{interaction}/documents/", summary="List documents", response_model_exclude_none=True)
async def list_documents(rooms: Rooms, found: KnownInteraction, audit: Audit) -> DocumentList:
    """All documents of the interaction, whole, oldest first."""
    documents = await rooms.store.list_documents(found.id)
    audit.gets("document", [document.id for document in documents])
    return DocumentList(data=[_shown(document) for document in documents])


@router.get(
    "/interactions/{interaction}/documents/{document}", summary="Get a document", response_model_exclude_none=True
)
async def get_document(rooms: Rooms, found: KnownInteraction, document: DocumentId, audit: Audit) -> DocumentResponse:
    """404 for an unknown one."""
    stored = await rooms.store.get_document(found.id, document)
    if stored is None:
        raise _no_document()
    audit.gets("document", [stored.id])
    return _shown(stored)


@router.patch(
    "/interactions/{interaction}/documents/{document}",
    summary="Change a document",
    response_model_exclude_none=True,
    openapi_extra=described(ChangeDocument),
)
async def change_document(
    rooms: Rooms,
    found: KnownInteraction,
    document: DocumentId,
    audit: Audit,
    asked: Annotated[ChangeDocument, Depends(json_body(ChangeDocument))],
) -> DocumentResponse:
    """Changes what is named and leaves the rest; `{}` changes nothing. A section that it lacks is added at the end.

    A section whose text changes loses its evidence. `updatedAt` moves only where something really changed.
    """
    now = datetime.now(UTC)
    changed = await rooms.store.change_document(
        found.id, document, lambda stored: _changed(stored, asked, rooms.templates, now)
    )
    if changed is None:
        raise _no_document()
    audit.gets("document", [changed.id], "update")
    return _shown(changed)


@router.delete("/interactions/{interaction}/documents/{document}", summary="Delete a document", status_code=204)
async def delete_document(rooms: Rooms, found: KnownInteraction, document: DocumentId) -> Response:
    """404 for an unknown one."""
    if not await rooms.store.delete_document(found.id, document):
        raise _no_document()
    return Response(status_code=204)


async def _written(rooms: AmbientRooms, interaction: str, asked: CreateDocument) -> StoredDocument:
    template = template_asked(asked, rooms.templates)
    sections = await asyncio.to_thread(_sections, rooms.writer, template, asked.context)
    now = datetime.now(UTC)
    return StoredDocument(
        id=str(uuid4()),
        interaction_id=interaction,
        name=asked.name or template.name,
        template=template.key,
        language=asked.output_language,
        sections=tuple({**section, "createdAt": now.isoformat(), "updatedAt": now.isoformat()} for section in sections),
        created_at=now,
        updated_at=now,
    )


def _sections(writer: NoteWriter, template: Template, context: Sequence[Context]) -> list[Kept]:
    """For a thread: it takes a while, and the first one loads the writer."""
    material = material_of(context)
    drafts = writer.write(briefs_of(template.sections), material.segments, material.facts)
    return written_sections(template, drafts, material)


def _changed(stored: StoredDocument, asked: ChangeDocument, templates: Templates, now: datetime) -> StoredDocument:
    before = sections_with_times(stored)
    after = changed_sections(before, asked.sections or (), templates, now)
    name = asked.name or stored.name
    if (after, name) == (before, stored.name):
        return stored
    return replace(stored, name=name, sections=after, updated_at=now)


def _shown(document: StoredDocument) -> DocumentResponse:
    return DocumentResponse(
        id=document.id,
        name=document.name,
        template_ref=document.template,
        sections=[DocumentSection.model_validate(section) for section in sections_with_times(document)],
        created_at=document.created_at,
        updated_at=document.updated_at,
        output_language=document.language,
    )


def _no_document() -> ApiError:
    return ApiError(404, NO_DOCUMENT, "document not found")
