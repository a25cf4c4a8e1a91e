"""What every emulated EHR holds without being loaded: for each visit its Patient, finished Encounter, Media and audio."""

from __future__ import annotations

import re

from tests.ehrs.wire import FHIR_JSON, Asked, Json, Refused, Told
from tests.faults.ehr import audio_of

PRACTITIONER = "doctor-1"
_META = {"versionId": "1", "lastUpdated": "2026-01-05T09:30:00Z"}
_NAMED = re.compile(r"(?:p-)?(visit-\d{6})(?:-1)?")


def visit_name(number: int) -> str:
    """The id of the visit's Encounter; its Patient is `p-…`, its Media `…-1`."""
    return f"visit-{number:06d}"


def visit_of(name: str) -> tuple[Json, Json]:
    """Encounter and Media of a visit, as the EHR has them."""
    patient = {"reference": f"Patient/p-{name}"}
    return {
        "resourceType": "Encounter", "id": name, "meta": _META, "status": "finished", "subject": patient,
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "participant": [{"individual": {"reference": f"Practitioner/{PRACTITIONER}"}}],
        "period": {"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T09:20:00Z"},
    }, {
        "resourceType": "Media", "id": f"{name}-1", "meta": _META, "status": "completed", "subject": patient,
        "encounter": {"reference": f"Encounter/{name}"}, "createdDateTime": "2026-01-05T09:01:00Z",
        "content": {"contentType": "audio/ogg", "url": f"Binary/{name}-1"},
    }  # fmt: skip


def charted(kind: str, ident: str) -> Json | None:
    """The resource, if the chart has it; of a Binary its kind and id alone."""
    named = _NAMED.fullmatch(ident)
    if kind == "Practitioner" and ident == PRACTITIONER:
        return {"resourceType": kind, "id": ident, "meta": _META, "active": True}
    if named is None:
        return None
    encounter, media = visit_of(named[1])
    patient = {"resourceType": "Patient", "id": f"p-{named[1]}", "meta": _META, "active": True}
    binary = {"resourceType": "Binary", "id": media["id"]}
    return next((one for one in (patient, encounter, media, binary) if (one["resourceType"], one["id"]) == (kind, ident)), None)  # fmt: skip


def served(asked: Asked, kind: str, ident: str) -> Told:
    """Raises Refused 404."""
    resource = charted(kind, ident)
    if resource is None:
        raise Refused(404, "not-found")
    if kind == "Binary":
        return Told(200, audio_of(ident), {"content-type": "audio/ogg"})
    return Told(200, resource, {"ETag": 'W/"1"', "content-type": FHIR_JSON})


def refuse_stranger(reference: object, kind: str, expression: str, status: int = 422, vendor: str | None = None) -> None:  # fmt: skip
    """Raises Refused unless this is a reference to a resource of this kind that the chart has."""
    named, _, ident = str(reference).rpartition("/")
    if named != kind or charted(kind, ident) is None:
        raise Refused(status, "not-found", expression, vendor)
