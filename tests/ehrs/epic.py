"""An EHR like Epic's Clinical Notes (R4): nothing conditional, nothing updated, and most of a note is not kept.

A note needs its Encounter and a known type, is text/plain, and only its first attachment is taken. `identifier` is
neither stored nor searched by: a search by it finds everything. Created notes are told by a relative Location alone.
"""

from __future__ import annotations

from typing import ClassVar

from service.fhir.elements import element, string
from tests.ehrs.chart import PRACTITIONER, refuse_stranger
from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.notes import coded_in, now, only
from tests.ehrs.wire import Asked, Json, Refused, Told

MISSING, UNSUPPORTED_VALUE = "59108", "59012"
_STORED = ("resourceType", "status", "docStatus", "type", "category", "subject", "date", "author", "context.encounter", "context.period")  # fmt: skip


class Epic(EmulatedEhr):
    searches_by: ClassVar = frozenset({"_id", "patient", "subject", "encounter", "type", "category", "status", "date", "period"})  # fmt: skip
    refuses_unknown_parameters: ClassVar = False
    gives_data: ClassVar = False
    interactions: ClassVar = ("read", "search-type", "create")

    def create(self, asked: Asked) -> Told:
        note = asked.resource("DocumentReference")
        _refuse(note)
        background = [{"reference": f"Practitioner/{PRACTITIONER}", "display": "Background user"}]
        stored = {"date": now(), "author": background, **only(note, *_STORED), "content": note["content"][:1]}
        kept = self.keep(stored)
        whole = kept if "return=representation" in asked.headers.get("prefer", "") else None
        return Told(201, whole, {"Location": f"DocumentReference/{kept['id']}"})


def _refuse(note: Json) -> None:
    """Raises Refused 400 with Epic's code."""
    if note.get("status") != "current":
        raise Refused(400, "value", "DocumentReference.status", UNSUPPORTED_VALUE)
    if note.get("docStatus", "final") not in ("preliminary", "final"):
        raise Refused(400, "value", "DocumentReference.docStatus", UNSUPPORTED_VALUE)
    encounter, subject = element(note, "context", "encounter", 0, "reference"), string(note, "subject", "reference")
    refuse_stranger(encounter, "Encounter", "DocumentReference.context.encounter", 400, MISSING)
    refuse_stranger(subject, "Patient", "DocumentReference.subject", 400, MISSING)
    if not coded_in(note, "http://loinc.org", "urn:oid:"):
        raise Refused(400, "required", "DocumentReference.type", MISSING)
    if not string(note, "content", 0, "attachment", "contentType") or not _data(note):
        raise Refused(400, "required", "DocumentReference.content.attachment", MISSING)
    if str(element(note, "content", 0, "attachment", "contentType")).partition(";")[0] != "text/plain":
        raise Refused(400, "value", "DocumentReference.content.attachment.contentType", UNSUPPORTED_VALUE)


def _data(note: Json) -> object:
    return element(note, "content", 0, "attachment", "data")
