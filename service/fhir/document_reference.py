"""A note as a FHIR R4 DocumentReference, as the destination's profile wants it (AI transparency label AIAST).

Pure: ids and times come in as arguments. What comes out has been checked by the R4B model, which is R4's for this
resource, and by our own checks of what that model lets through.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.fhir.attachments import attached
from service.fhir.codes import AI_ASSERTED, DOCUMENT_TYPES, NOTE_SYSTEM, URI, document_type
from service.fhir.element_paths import found, leave_out, present, put
from service.fhir.elements import Json, mapping, string
from service.fhir.note import Note, derived_oid, note_identifier, search_token
from service.fhir.note_context import note_context
from service.fhir.note_text import FIRST_LINE, characters_removed, note_text, note_title
from service.fhir.note_xhtml import narrative
from service.fhir.profile import Profile
from service.fhir.still_this_note import refuse_another_note, words_of
from service.fhir.times import instant
from service.fhir.unmet import NoteTooLarge, ProfileUnmet

__all__ = [
    "FIRST_LINE", "Note", "NoteTooLarge", "Prepared", "ProfileUnmet", "document_reference", "note_identifier", "note_text",
    "prepare", "search_token",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be sent for one note.

    `resource` is the DocumentReference, without an id. `binaries` are the Binary resources of its contents, each under the
    `urn:uuid:…` that stands in `content.attachment.url`; none where everything is inline. `text` is the readable note as
    sent, `removed` counts the characters that FHIR forbids and that were left out. `fell_back` are the element paths where
    the profile sends something else than the note says.
    """

    resource: Json
    binaries: tuple[tuple[str, Json], ...]
    text: str
    removed: int
    fell_back: tuple[str, ...] = ()


def prepare(note: Note, profile: Profile) -> Prepared:
    """Raises ProfileUnmet, NoteTooLarge, and ValueError when the result would not be a valid R4 resource, or not this note.

    Imports the R4B model at first use (half a second), and the PDF library where the profile wants one; call it in a thread.
    """
    contents, binaries = attached(note, profile)
    context = note_context(note, profile)
    resource = {**_described(note, profile), "content": contents, **({"context": context} if context else {})}
    said = words_of(resource)
    fell_back = [*_codes_and_authors(note, profile, resource), *_shape(profile, resource)]
    refuse_another_note(resource, note, profile, said)
    for path in profile.required:
        if not present(resource, path):
            raise ProfileUnmet(path, profile.name)
    return Prepared(checked(resource), binaries, note_text(note), characters_removed(note), tuple(fell_back))


def document_reference(note: Note, profile: Profile) -> Json:
    """The resource alone, where nothing of it is separate."""
    return prepare(note, profile).resource


def _described(note: Note, profile: Profile) -> Json:
    described: Json = {
        "resourceType": "DocumentReference",
        "meta": {"security": [AI_ASSERTED, *map(dict, note.labels)]} if profile.security_label else None,
        **_on_demand(note, profile),
        "identifier": [{"system": NOTE_SYSTEM, "value": note.identifier}],
        "status": "current",
        "docStatus": "preliminary" if profile.doc_status is True else profile.doc_status or None,
        "category": [{"coding": [coding.model_dump(exclude_none=True)]} for coding in profile.categories],
        "subject": {"reference": note.patient},
        "date": instant(note.written_at),
        "custodian": {"reference": note.custodian} if note.custodian else None,
        "relatesTo": [{"code": "replaces", "target": {"reference": note.replaces}}] if note.replaces else None,
        "description": f"AI-drafted {note_title(note)}, for review",
    }
    return {name: value for name, value in described.items() if value}


def _on_demand(note: Note, profile: Profile) -> Json:
    """What few destinations want. The masterIdentifier names this revision, as the identifier does; as an OID, which
    ISiK asks for and every other takes."""
    elements: Json = {}
    if "masterIdentifier" in profile.required:
        elements["masterIdentifier"] = {"system": URI, "value": derived_oid(note.identifier, "document")}
    if "text" in profile.required:
        elements["text"] = {"status": "additional", "div": narrative(note)}
    return elements


def _codes_and_authors(note: Note, profile: Profile, resource: Json) -> list[str]:
    """Sets type and author; returns those that are not the note's own. Raises ProfileUnmet for a template without a code."""
    kind = profile.types.get(note.template) or profile.types.get("default")
    if kind is None and profile.types:
        raise ProfileUnmet("type", profile.name)
    resource["type"] = kind.model_dump(exclude_none=True, mode="json") if kind else document_type(note.template)
    authors = [dict(author) for author in note.authors if _type_of(author) in profile.authors]
    if authors:
        resource["author"] = authors
    other_type = note.template not in profile.types and (profile.types or note.template not in DOCUMENT_TYPES)
    return ["type"] * bool(other_type) + ["author"] * (len(authors) < len(note.authors))


def _type_of(author: Mapping[str, Any]) -> str:
    return string(author, "type") or (string(author, "reference") or "").rpartition("/")[0].rpartition("/")[2]


def _shape(profile: Profile, resource: Json) -> list[str]:
    """Leaves out, sets and fills in what the profile says; returns the elements that were filled in."""
    for path in profile.forbidden:
        leave_out(resource, path)
    for path, value in profile.forced.items():
        put(resource, path, copy.deepcopy(value))
    filled = []
    for path, other in profile.fallbacks.items():
        if not present(resource, path) and (values := found(resource, other)):
            put(resource, path, copy.deepcopy(values[0]))
            filled.append(path)
    return filled


def checked(resource: Json) -> Json:
    """The resource, if the R4B model takes it. Raises ValueError naming the elements, never their values."""
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
