"""What templates ask of the note writer, for tests that write notes without the ambient API."""

from __future__ import annotations

from service.ambient.fact_groups import FACT_GROUPS
from service.ambient.ports import SectionBrief

FINDINGS = (
    "vital-signs",
    "laboratory-results",
    "imaging-results",
    "normal-physical-findings",
    "abnormal-physical-findings",
)
NEXT_STEPS = ("plan", "actions")
HISTORY = tuple(group for group in FACT_GROUPS if group not in (*FINDINGS, "assessment", *NEXT_STEPS))

SOAP = (
    SectionBrief("subjective", HISTORY),
    SectionBrief("objective", FINDINGS),
    SectionBrief("assessment", ("assessment",)),
    SectionBrief("plan", NEXT_STEPS),
)
SUMMARY = SectionBrief("summary", tuple(FACT_GROUPS), "plain")
ONE_FOR_EACH_GROUP = tuple(SectionBrief(group, (group,)) for group in FACT_GROUPS)
