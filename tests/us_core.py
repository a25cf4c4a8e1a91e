"""US Core DocumentReference Profile, the rules common to 6.1 – 9.0 (StructureDefinition-us-core-documentreference, and its
invariant us-core-6), written down a second time, apart from the profile that builds notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_AUTHORS = {"Practitioner", "Organization", "Patient", "PractitionerRole", "RelatedPerson", "Device"}
_LOINC_DOCUMENTS = {  # SCALE Doc: US Core's ten clinical notes, and those of the R4 value set c80-doc-typecodes used here
    "11488-4", "18842-5", "34117-2", "28570-0", "11506-3", "18748-4", "11502-2", "11526-1", "11504-8", "34111-5",
    "34131-3", "34746-8", "57133-1", "69730-0", "34109-9",
}  # fmt: skip


def problems(note: dict[str, Any]) -> list[str]:
    """Each rule that the DocumentReference breaks, by its element."""
    return [*_header(note), *_codes(note), *_people(note), *_content(note), *_context(note)]


def _header(note: dict[str, Any]) -> Iterator[str]:
    if note.get("status") not in ("current", "superseded", "entered-in-error"):
        yield "status"
    if "date" in note and not _INSTANT.fullmatch(note["date"]):
        yield "date: an instant, with its zone"
    if any(not one.get("value") for one in note.get("identifier", [])):
        yield "identifier: without a value"


def _codes(note: dict[str, Any]) -> Iterator[str]:
    codings = note["type"].get("coding", []) if isinstance(note.get("type"), dict) else []
    if not any(_is_document_type(coding) for coding in codings):
        yield "type: LOINC with SCALE Doc, or UNK of v3-NullFlavor (required)"
    categories = [coding for one in note.get("category", []) for coding in one.get("coding", [])]
    if not any((coding.get("system"), coding.get("code")) == (_CATEGORY, "clinical-note") for coding in categories):
        yield "category: the slice us-core needs clinical-note"


def _is_document_type(coding: dict[str, Any]) -> bool:
    if coding.get("system") == "http://terminology.hl7.org/CodeSystem/v3-NullFlavor":
        return coding.get("code") == "UNK"
    return coding.get("system") == "http://loinc.org" and coding.get("code") in _LOINC_DOCUMENTS


def _people(note: dict[str, Any]) -> Iterator[str]:
    if _type_of(note.get("subject", {})) != "Patient":  # 6.1 allows no other
        yield "subject: a Patient"
    if any(_type_of(author) not in _AUTHORS for author in note.get("author", [])):
        yield "author: of a type that the profile does not know"


def _type_of(reference: dict[str, Any]) -> str | None:
    match = re.search(r"([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}$", reference.get("reference", ""))
    return match[1] if match else reference.get("type")


def _content(note: dict[str, Any]) -> Iterator[str]:
    if not note.get("content"):
        yield "content: at least one"
    for one in note.get("content", []):
        attachment = one.get("attachment", {})
        if not attachment.get("url") and not attachment.get("data"):
            yield "us-core-6: url or data"
        if "/" not in attachment.get("contentType", ""):
            yield "content.attachment.contentType"
        if "format" in one and not (one["format"].get("system") and one["format"].get("code")):
            yield "content.format: a Coding"


def _context(note: dict[str, Any]) -> Iterator[str]:
    encounters = note.get("context", {}).get("encounter", [])
    if len(encounters) > 1:
        yield "context.encounter: one at most"
    if any(_type_of(encounter) != "Encounter" for encounter in encounters):
        yield "context.encounter: an Encounter"
