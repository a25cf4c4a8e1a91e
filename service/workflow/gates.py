"""What keeps a visit from leaving the house at all, whosever chart it is: a restricted label, a patient record out of
use, a consent that is not there. Asked before the first byte goes to the engine, and again right before filing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from service.errors import NeedsPerson
from service.fhir.consent import verdict
from service.fhir.elements import mappings
from service.fhir.modifiers import not_understood
from service.fhir.security_labels import is_restricted, labels_of_test_data
from service.workflow.visit import Fact
from service.workflow.work import Work

_TOO_MANY = 200
"""As many as a search gives at most: there may be more."""


def refuse_restricted(work: Work, resources: Sequence[Fact]) -> None:
    """Raises NeedsPerson `restricted`; which label it is would tell something about the patient."""
    labels = work.addressee.settings.restricted_labels
    for fact in resources:
        if is_restricted(fact.resource, labels):
            raise NeedsPerson(
                "restricted",
                f"{fact.reference} carries one of AMBIENT_EHR__RESTRICTED_LABELS in meta.security: write the note by hand, "
                "or retry once the label is gone; a note that stands is left as it is",
            )


def refuse_unknown_modifiers(resources: Sequence[Fact]) -> None:
    """Raises NeedsPerson `modifier_not_understood` for what may turn a resource's meaning round (FHIR R4 §2.4.0.1)."""
    for fact in resources:
        if path := not_understood(fact.resource):
            raise NeedsPerson(
                "modifier_not_understood",
                f"{path} of {fact.reference} may change what it means, and is not known here: write the note by hand, or retry once "
                "it is gone; a note that stands is left as it is",
            )


def refuse_unusable(patient: Fact) -> None:
    """Raises NeedsPerson `patient_gone`, `patient_merged` or `patient_inactive`."""
    if patient.deleted:
        raise NeedsPerson("patient_gone", f"{patient.reference} is no longer in the EHR")
    if any(link.get("type") == "replaced-by" for link in mappings(patient.resource, "link")):
        raise NeedsPerson(
            "patient_merged", f"{patient.reference} was replaced by another Patient: write this visit's note by hand"
        )
    if (patient.resource or {}).get("active") is False:
        raise NeedsPerson("patient_inactive", f"{patient.reference} is not in active use (Patient.active)")


async def require_consent(work: Work, patient: str) -> None:
    """Raises NeedsPerson `consent_denied`, `consent_absent` or `consent_unclear`, unless the check is switched off."""
    settings = work.addressee.settings
    if not settings.consent_check:
        return
    found = await work.ehr.search("Consent", {"patient": patient, "_count": str(_TOO_MANY)})
    said = verdict(found, patient, work.ehr.base_url, datetime.now(UTC), settings.consent_categories)
    if said == "deny":
        raise NeedsPerson("consent_denied", f"an active Consent of {patient} denies it")
    if said == "unclear" or len(found) >= _TOO_MANY:
        raise NeedsPerson("consent_unclear", f"the Consents of {patient} are for a person to read")
    if said == "silent":
        raise NeedsPerson("consent_absent", f"no active Consent of {patient} permits it")


def labels_carried_on(resources: Sequence[Fact]) -> Sequence[Mapping[str, Any]]:
    """What a note about these says beside its own label: that it is about test data."""
    return next((labels for fact in resources if (labels := labels_of_test_data(fact.resource))), ())
