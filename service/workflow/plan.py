"""Which steps a run may take, as far as its visit's facts and results tell: their intents are committed with the claim.

A step that is missing here costs a commit of its own; one too many costs a row, which is taken back when the run ends
in order. After a crash it costs a look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from service.fhir.references import ForeignBase, referenced
from service.workflow.document import document_step
from service.workflow.filed import content_revision, filing_key
from service.workflow.media import sort_media
from service.workflow.ports import Intents
from service.workflow.provenance import provenance_step
from service.workflow.recording import recording_step
from service.workflow.transcript import transcript_step
from service.workflow.visit import Visit

MOST = 64
"""One visit with hundreds of recordings must not make the claim of others wait."""


def plan(visit: Visit, templates: Sequence[str], ehr_base: str) -> Intents:
    """First everything up to the transcripts; once they are asked for, what comes after them. The intent of the
    interaction says whose it is to be."""
    results = {step.name: step.result for step in visit.steps.values() if step.finished_at}
    media = sort_media(visit.media).available
    if not media:
        return {}
    started = ["interaction", *map(recording_step, media), *map(transcript_step, media)]
    missing: dict[str, dict[str, Any]] = {step: {} for step in started if step not in results}
    if not missing:
        recordings = [results[recording_step(one)] for one in media]
        filing = (_filing(results, template, content_revision(template, recordings)) for template in templates)
        missing = {step: {} for steps in filing for step in steps}
    if "interaction" in missing:
        patient = _patient(visit, ehr_base)
        missing |= {"interaction": {"patient": patient}}
        if patient is None:
            del missing["interaction"]
    return dict(islice(missing.items(), MOST))


def _filing(results: Mapping[str, Mapping[str, Any]], template: str, revision: str) -> list[str]:
    key = filing_key(results, template, revision)
    steps = [document_step(template, revision), f"filed:{key}", provenance_step(key)]
    return [step for step in steps if step not in results]


def _patient(visit: Visit, ehr_base: str) -> str | None:
    try:
        subject = referenced(visit.encounter.resource, "subject", base=ehr_base) if visit.encounter else None
    except ForeignBase:
        return None
    return str(subject) if subject else None
