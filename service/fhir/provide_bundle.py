"""A note as the transaction of IHE MHD "Provide Document Bundle" (ITI-65, MHD 4.2, Minimal metadata):
a SubmissionSet (List), the DocumentReference, and its Binaries, all or nothing."""

from __future__ import annotations

from urllib.parse import quote

from service.fhir.codes import DEVICE_SYSTEM, URI
from service.fhir.document_reference import Prepared, search_token
from service.fhir.elements import Json
from service.fhir.note import Note, derived_oid, derived_urn
from service.fhir.profile import Profile
from service.fhir.times import instant

_MHD = "https://profiles.ihe.net/ITI/MHD"


def provide_bundle(prepared: Prepared, note: Note, profile: Profile) -> Json:
    """The Bundle to POST to the FHIR base. Where the destination creates conditionally, a repeated one changes nothing but
    leaves another Binary, which has no identifier to be found by."""
    document = derived_urn(note.identifier, "DocumentReference")
    submission = derived_urn(note.identifier, "SubmissionSet")
    once = profile.writing.conditional_create is not False
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{_MHD}/StructureDefinition/IHE.MHD.Minimal.ProvideBundle"]},
        "type": "transaction",
        "timestamp": instant(note.written_at),
        "entry": [
            _entry(
                submission,
                _submission_set(note, profile, document, submission),
                f"{URI}|{submission}" if once else None,
            ),
            _entry(document, prepared.resource, search_token(note.identifier) if once else None),
            *(_entry(urn, binary, None) for urn, binary in prepared.binaries),
        ],
    }


def _entry(urn: str, resource: Json, identifier: str | None) -> Json:
    request = {"method": "POST", "url": resource["resourceType"]}
    if identifier:
        request["ifNoneExist"] = f"identifier={quote(identifier, safe='')}"
    return {"fullUrl": urn, "resource": resource, "request": request}


def _submission_set(note: Note, profile: Profile, document: str, submission: str) -> Json:
    """IHE.MHD.Minimal.SubmissionSet: who submits (sourceId), entryUUID and uniqueId, status, mode, code, date, document."""
    source = profile.source_id or derived_oid(DEVICE_SYSTEM, "ambient-fhir")
    return {
        "resourceType": "List",
        "meta": {"profile": [f"{_MHD}/StructureDefinition/IHE.MHD.Minimal.SubmissionSet"]},
        "extension": [{"url": f"{_MHD}/StructureDefinition/ihe-sourceId", "valueIdentifier": {"value": source}}],
        "identifier": [
            {"use": "official", "system": URI, "value": submission},
            {"use": "usual", "system": URI, "value": derived_oid(note.identifier, "SubmissionSet")},
        ],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": f"{_MHD}/CodeSystem/MHDlistTypes", "code": "submissionset"}]},
        "subject": {"reference": note.patient},
        "date": instant(note.written_at),
        "entry": [{"item": {"reference": document}}],
    }
