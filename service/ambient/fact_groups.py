"""The groups that facts, and what was said in a consultation, are sorted into.

The first twenty are the cloud's keys, in the order of a chart; `surgical-history` is ours.
"""

from __future__ import annotations

FACT_GROUPS = {
    "chief-complaint": "Chief complaint",
    "history-of-present-illness": "History of present illness",
    "past-medical-history": "Past medical history",
    "surgical-history": "Surgical history",
    "family-history": "Family history",
    "social-history": "Social history",
    "functional-status": "Functional status",
    "medications-prior-to-visit": "Medications prior to visit",
    "allergies": "Allergies",
    "demographics": "Demographics",
    "vital-signs": "Vital signs",
    "laboratory-results": "Laboratory results",
    "imaging-results": "Imaging results",
    "normal-physical-findings": "Normal physical findings",
    "abnormal-physical-findings": "Abnormal physical findings",
    "denials-of-symptoms": "Denials of symptoms",
    "concerns-and-expectations": "Concerns and expectations",
    "assessment": "Assessment",
    "plan": "Plan",
    "actions": "Actions",
    "other": "Other",
}

_BY_NAME = {name.casefold(): key for key, name in FACT_GROUPS.items()}


def group_key(given: str) -> str | None:
    """The key of a group that is named by its key or its English name, in any letter case; None when there is none."""
    asked = given.strip().casefold()
    return asked if asked in FACT_GROUPS else _BY_NAME.get(asked)
