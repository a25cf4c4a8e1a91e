"""What other destinations ask of a DocumentReference, written down apart from the profiles: IHE MHD 4.2 (Minimal), gematik
ISiKDokumentenMetadaten, Epic's and Oracle Health's create as their documentation and published test notes describe them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Note = dict[str, Any]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9]\d*))+")


def ihe_mhd(note: Note) -> Iterator[str]:
    yield from _unique_id(note)
    if note.get("docStatus") or note.get("modifierExtension"):
        yield "docStatus and modifierExtension: none"
    if len(note.get("content", [])) != 1:
        yield "content: exactly one"
    if len(note.get("category", [])) > 1:
        yield "category: one at most"
    if note.get("status") not in ("current", "superseded"):
        yield "status: not entered-in-error"
    for attachment in _attachments(note):
        if "data" in attachment or not attachment.get("url") or not attachment.get("contentType"):
            yield "content.attachment: url and contentType, no data"


def isik(note: Note) -> Iterator[str]:
    yield from _unique_id(note)
    if not _OID.fullmatch(note.get("masterIdentifier", {}).get("value", "")):
        yield "masterIdentifier: an OID"
    codings = note.get("type", {}).get("coding", [])
    kdl = [coding for coding in codings if coding.get("system") == "http://dvmd.de/fhir/CodeSystem/kdl"]
    if len(kdl) != 1 or not re.fullmatch(r"[A-Z]{2}\d{6}", kdl[0].get("code", "")) or not kdl[0].get("display"):
        yield "type: one KDL code with its display"
    labels = [coding.get("code") for label in note.get("securityLabel", []) for coding in label.get("coding", [])]
    if not set(labels) & {"N", "R", "V"}:
        yield "securityLabel: N, R or V"
    if "custodian" in note or not note.get("description"):
        yield "a description, and no custodian"
    if len(note.get("content", [])) > 1 or any(not content.get("format") for content in note.get("content", [])):
        yield "content: one, with its format"
    for attachment in _attachments(note):
        if not {"contentType", "language", "creation"} <= attachment.keys():
            yield "content.attachment: contentType, language, creation"
    context = note.get("context", {})
    if not context.get("facilityType") or not context.get("practiceSetting") or len(context.get("encounter", [])) > 1:
        yield "context: facilityType, practiceSetting, one encounter at most"


def epic(note: Note) -> Iterator[str]:
    if note.get("docStatus") not in ("preliminary", "final"):
        yield "docStatus: an unsigned draft, or signed"
    if not note.get("context", {}).get("encounter"):
        yield "context.encounter: Valid encounter required"
    if not note.get("type", {}).get("coding") or not note.get("subject"):
        yield "type and subject"
    if "relatesTo" in note:
        yield "relatesTo: a modifier of unknown effect"
    if len(note.get("content", [])) != 1:
        yield "content: only the first is read"
    for attachment in _attachments(note):
        if attachment.get("contentType") != "text/plain" or "data" not in attachment:
            yield "content.attachment: base64 text/plain"


def oracle_health(note: Note) -> Iterator[str]:
    if note.get("docStatus") not in ("final", "amended"):
        yield "docStatus: final or amended"
    if len({coding.get("system") for coding in note.get("type", {}).get("coding", [])}) != 1:
        yield "type: LOINC or code set 72, not both"
    if not all(re.match(r"Practitioner/", author.get("reference", "")) for author in note.get("author", [])):
        yield "author: Practitioner"
    period = note.get("context", {}).get("period", {})
    if "end" not in period or not all(_TIME.fullmatch(text) for text in period.values()):
        yield "context.period: an end, and times of day"
    if len(note.get("content", [])) != 1 or "modifierExtension" in note:
        yield "content: exactly one"
    for attachment in _attachments(note):
        if "charset=" not in attachment.get("contentType", "") or "data" not in attachment:
            yield "content.attachment: data, and contentType with its charset"


CHECKS: dict[str, Callable[[Note], Iterator[str]]] = {
    "ihe-mhd": ihe_mhd, "isik": isik, "epic": epic, "oracle-health": oracle_health,
}  # fmt: skip


def _unique_id(note: Note) -> Iterator[str]:
    identifier = note.get("masterIdentifier", {})
    if identifier.get("system") != "urn:ietf:rfc:3986" or not str(identifier.get("value")).startswith("urn:"):
        yield "masterIdentifier: a URI"


def _attachments(note: Note) -> Iterator[dict[str, Any]]:
    yield from (content.get("attachment", {}) for content in note.get("content", []))
