"""An EHR like Oracle Health Millennium (R4): strict about what it takes, silent about what it drops.

A note is final, has one attachment whose content type names a charset, a Practitioner as its author, and the end of its
period. What it does not know (`identifier`, `meta.security`, …) is dropped without a word, and nothing is searched by
identifier. Changes need If-Match; a stale one is 409.
"""

from __future__ import annotations

from typing import ClassVar

from service.fhir.elements import element, mappings, string
from tests.ehrs.chart import refuse_stranger
from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.notes import coded_in, only
from tests.ehrs.wire import Asked, Json, Refused, Told

_TYPES = frozenset({"application/pdf", "text/plain", "text/richtext", "text/rtf", "text/html", "application/xml", "application/xhtml+xml"})  # fmt: skip
_STORED = ("resourceType", "status", "docStatus", "type", "category", "subject", "date", "author", "custodian", "content", "context.encounter", "context.period")  # fmt: skip
_AT = "DocumentReference."


class OracleHealth(EmulatedEhr):
    searches_by: ClassVar = frozenset({"_id", "patient", "encounter", "type", "category", "date", "period"})
    gives_data: ClassVar = False
    interactions: ClassVar = ("read", "search-type", "create", "update")

    def create(self, asked: Asked) -> Told:
        note = asked.resource("DocumentReference")
        _refuse(note)
        kept = self.keep(only(note, *_STORED))
        where = f"{self.base_url}/DocumentReference/{kept['id']}"
        return Told(201, None, {"Location": where, "ETag": 'W/"1"'})

    def update(self, asked: Asked, ident: str) -> Told:
        """Of a status alone: what the note says stays."""
        note, known = asked.resource("DocumentReference"), self.notes[ident].versions[-1]
        if "if-match" not in asked.headers:
            raise Refused(400, "required")
        if asked.headers["if-match"] != f'W/"{known["meta"]["versionId"]}"':
            raise Refused(409, "conflict")
        changed = self.keep_version(ident, {**known, **only(note, "status", "docStatus")})
        return Told(200, None, {"ETag": f'W/"{changed["meta"]["versionId"]}"'})


def _refuse(note: Json) -> None:
    """Raises Refused 422."""
    for element_name in ("modifierExtension", "implicitRules"):
        if element_name in note:
            raise Refused(422, "not-supported", _AT + element_name)
    if note.get("status") != "current" or note.get("docStatus") not in ("final", "amended"):
        raise Refused(422, "value", f"{_AT}docStatus")
    if len(coded_in(note, "http://loinc.org", "https://fhir.cerner.com/")) != 1:
        raise Refused(422, "required", f"{_AT}type")
    refuse_stranger(string(note, "subject", "reference"), "Patient", f"{_AT}subject")
    if not string(note, "context", "period", "end"):
        raise Refused(422, "required", f"{_AT}context.period.end")
    dates = [note.get("date"), element(note, "context", "period", "start"), element(note, "context", "period", "end")]
    if any("T" not in str(date) for date in dates if date is not None):
        raise Refused(422, "value", f"{_AT}date")
    _refuse_authors(note)
    _refuse_content(note)


def _refuse_authors(note: Json) -> None:
    authors = list(mappings(note, "author"))
    if not authors:
        raise Refused(422, "required", f"{_AT}author")
    for author in authors:
        refuse_stranger(author.get("reference"), "Practitioner", f"{_AT}author")


def _refuse_content(note: Json) -> None:
    if len(note.get("content", [])) != 1:
        raise Refused(422, "value", f"{_AT}content")
    kind, _, parameters = str(element(note, "content", 0, "attachment", "contentType")).partition(";")
    if kind not in _TYPES or "charset=" not in parameters:
        raise Refused(422, "value", f"{_AT}content.attachment.contentType")
    if not element(note, "content", 0, "attachment", "data"):
        raise Refused(422, "required", f"{_AT}content.attachment.data")
