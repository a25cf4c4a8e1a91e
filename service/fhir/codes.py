"""Codes that notes carry: LOINC document types by template, and the systems used in a DocumentReference.

Displays change between LOINC releases and a wrong display is a validator's error, so only `text` is sent beside the code.
"""

from __future__ import annotations

from typing import Any

LOINC = "http://loinc.org"
URI = "urn:ietf:rfc:3986"
NOTE_SYSTEM = "urn:ambient-fhir:note"
DEVICE_SYSTEM = "urn:ambient-fhir:device"
TEMPLATE_SYSTEM = "urn:ambient-fhir:template"

AI_ASSERTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}

DOCUMENT_TYPES = {
    "corti-soap": ("11506-3", "Progress note"),
    "corti-brief-clinical-note": ("34109-9", "Note"),
    "corti-h-and-p": ("34117-2", "History and physical note"),
    "corti-emergency-note": ("34111-5", "Emergency department Note"),
    "corti-referral": ("57133-1", "Referral note"),
    "summary-of-notes": ("34109-9", "Note"),
    "corti-nursing-note": ("34746-8", "Nurse Note"),
    "corti-patient-summary": ("69730-0", "Instructions"),
    "corti-epic-avr": ("34131-3", "Outpatient Progress note"),
    "corti-outpatient-visit-note": ("34131-3", "Outpatient Progress note"),
    "corti-emergency-response-note": ("34109-9", "Note"),
}


def document_type(template: str) -> dict[str, Any]:
    """The CodeableConcept of a template's document type; 34109-9 Note for a template of the user's own."""
    code, text = DOCUMENT_TYPES.get(template, ("34109-9", "Note"))
    return {"coding": [{"system": LOINC, "code": code}], "text": text}
