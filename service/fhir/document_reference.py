"""A note as a FHIR R4 DocumentReference (contract: profile table; US Core; AI transparency label AIAST).

Pure: ids and times come in as arguments. What comes out has been checked by the R4B model, which is R4's for this
resource, and by our own checks of what that model lets through.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.fhir.codes import AI_ASSERTED, NOTE_SYSTEM, document_type
from service.fhir.elements import Json, mapping
from service.fhir.profile import Profile
from service.fhir.times import moment

_NOTES = uuid.UUID("0b7f7c0e-54a0-5d5e-8f0b-3f6c0c1f2a11")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
FIRST_LINE = "AI-drafted note. Not yet reviewed by a clinician."


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be filed. References are `Type/id`; `sections` are (heading, text) in order; `written_at` is aware."""

    identifier: str
    template: str
    title: str
    language: str
    sections: Sequence[tuple[str, str]]
    patient: str
    encounter: str | None
    period: Mapping[str, Any] | None
    media: Sequence[str]
    authors: Sequence[Mapping[str, Any]]
    written_at: datetime
    replaces: str | None = None


def note_identifier(ehr: str, visit_key: str, template: str, revision: str) -> str:
    """The business identifier's value: the same visit, template and content revision always give the same one."""
    return str(uuid.uuid5(_NOTES, "|".join([ehr.rstrip("/"), visit_key, template, revision])))


def search_token(identifier: str) -> str:
    """`system|value`, as searches and If-None-Exist take it."""
    return f"{NOTE_SYSTEM}|{identifier}"


def note_text(note: Note) -> str:
    """The readable note: says first that a machine drafted it, then each section under its heading."""
    parts = [FIRST_LINE]
    for heading, text in note.sections:
        parts.append(f"{_line(heading).upper()}\n{_clean(text).strip() or 'Nothing recorded.'}")
    return "\n\n".join(parts) + "\n"


def document_reference(note: Note, profile: Profile) -> Json:
    """The resource to create, without an id. Raises ValueError when the result would not be a valid R4 resource."""
    resource: Json = {
        "resourceType": "DocumentReference",
        "meta": {"security": [AI_ASSERTED]} if profile.security_label else None,
        "identifier": [{"system": NOTE_SYSTEM, "value": note.identifier}],
        "status": "current",
        "docStatus": "preliminary" if profile.doc_status else None,
        "type": document_type(note.template),
        "category": [{"coding": [coding.model_dump(exclude_none=True)]} for coding in profile.categories],
        "subject": {"reference": note.patient},
        "date": _instant(note.written_at),
        "author": [dict(author) for author in note.authors],
        "relatesTo": [{"code": "replaces", "target": {"reference": note.replaces}}] if note.replaces else None,
        "description": f"AI-drafted {_line(note.title)}, for review",
        "content": [_content(note, profile)],
        "context": _context(note, profile),
    }
    return checked({name: value for name, value in resource.items() if value not in (None, [], {})})


def _content(note: Note, profile: Profile) -> Json:
    raw = note_text(note).encode()
    attachment = {
        "contentType": "text/plain; charset=utf-8",
        "language": note.language,
        "data": base64.b64encode(raw).decode(),
        "size": len(raw),
        "hash": base64.b64encode(
            hashlib.sha1(raw, usedforsecurity=False).digest()
        ).decode(),  # FHIR R4 Attachment.hash is SHA-1
        "title": _line(note.title) or "Note",
        "creation": _instant(note.written_at),
    }
    content: Json = {"attachment": attachment}
    if profile.format:
        content["format"] = profile.format.model_dump(exclude_none=True)
    return content


def _context(note: Note, profile: Profile) -> Json:
    context: Json = {}
    if note.encounter:
        context["encounter"] = [{"reference": note.encounter}]
    if note.period:
        context["period"] = _period(note.period)
    if profile.related:
        context["related"] = [{"reference": media} for media in note.media]
    return {name: value for name, value in context.items() if value}


def _period(period: Mapping[str, Any]) -> Json:
    """Its readable ends: an Encounter's odd period must not keep the note out of the chart."""
    return {name: text for name in ("start", "end") if isinstance(text := period.get(name), str) and moment(text)}


def checked(resource: Json) -> Json:
    """The resource, if the R4B model takes it. Raises ValueError naming the elements, never their values.

    Imports the model at first use (half a second); call it in a thread.
    """
    from fhir.resources.R4B.documentreference import DocumentReference
    from pydantic import ValidationError

    try:
        DocumentReference.model_validate(resource)
    except ValidationError as error:
        wrong = sorted({".".join(str(part) for part in issue["loc"]) for issue in error.errors(include_input=False)})
        raise ValueError(f"not a valid DocumentReference: {', '.join(wrong)}") from None
    if mapping(resource, "subject") is None or not resource.get("type"):
        raise ValueError("not a valid note: subject and type are required")
    return resource


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clean(text: str) -> str:
    """Without the control characters, lone surrogates and non-characters that a FHIR string must not hold."""
    return _FORBIDDEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _line(text: str) -> str:
    return " ".join(_clean(text).split())
