"""What the EHR made of a note: read once in each process, and wherever its answer did not name a version.

EHRs leave out silently what they do not keep (Oracle Health ignores unlisted elements, docs.oracle.com). Without the
identifier no conditional create protects from a second note, and without a version nobody's edit would be noticed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import structlog

from service.errors import NeedsPerson, Retryable
from service.fhir.document_reference import Prepared
from service.fhir.elements import Json, element, string
from service.telemetry import EHR_DROPPED
from service.workflow.filed import filed_result
from service.workflow.lookup import refuse_another_chart
from service.workflow.ports import Absent, Filed
from service.workflow.work import Work

log = structlog.get_logger()


async def read_back(work: Work, step: str, filed: Filed, prepared: Prepared, patient: str) -> Filed:
    """The note as filed, with the version that it has. What cannot be read now is not known, and nothing hangs on it.

    Raises NeedsPerson `filed_in_another_chart`, with an alarm, where the EHR shows another subject than was sent.
    """
    observed = work.addressee.observed
    if observed.read_back and filed.version and filed.created:
        return filed
    try:
        held = await work.ehr.read(filed.reference)
    except (Absent, Retryable, NeedsPerson):
        return filed
    filed, sent = replace(filed, version=filed.version or string(held, "meta", "versionId")), prepared.resource
    try:
        refuse_another_chart(held, patient, work.visit.encounter_id)
    except NeedsPerson:
        identifier = str(element(sent, "identifier", 0, "value"))
        work.keep(step, {**filed_result(filed, identifier, []), "elsewhere": True})
        raise
    if not observed.read_back:
        observed.read_back = True
        await _notice(work, sent, held)
    return filed


async def _notice(work: Work, sent: Json, held: Json) -> None:
    dropped = sorted(name for name in sent if name not in ("meta", "resourceType") and name not in held)
    if element(sent, "meta", "security") and not element(held, "meta", "security"):
        dropped.append("meta.security")
    kept = [(one.get("system"), one.get("value")) for one in held.get("identifier") or () if isinstance(one, dict)]
    keeps = all((one["system"], one["value"]) in kept for one in sent.get("identifier", ()))
    await _remember(work, keeps)
    if not keeps:
        dropped = sorted({*dropped, "identifier"})
    for name in dropped:
        EHR_DROPPED.labels(name).inc()
    if dropped:
        log.warning("ehr_dropped_elements", ehr=work.ehr.name, detail=", ".join(dropped))


async def _remember(work: Work, keeps: bool) -> None:
    """For later processes, too: one that takes up a killed run has read nothing back yet."""
    observed = work.addressee.observed
    if keeps == observed.keeps_identifier:
        return
    observed.keeps_identifier = keeps
    with suppress(Retryable):  # the note is filed, and the next process reads back again
        await work.visits.note_identifier_kept(work.ehr.name, keeps)
