"""What the EHR made of a note: read once in each process, and wherever its answer did not name a version.

EHRs leave out silently what they do not keep (Oracle Health ignores unlisted elements, docs.oracle.com). Without the
identifier no conditional create protects from a second note, and without a version nobody's edit would be noticed.
"""

from __future__ import annotations

import re
from dataclasses import replace

import structlog

from service.errors import NeedsPerson, Retryable
from service.fhir.document_reference import Prepared
from service.fhir.elements import Json, element, string
from service.telemetry import EHR_DROPPED
from service.workflow.filed import filed_result
from service.workflow.ports import Absent, Filed
from service.workflow.work import Work

log = structlog.get_logger()

_TYPE_AND_ID = re.compile(r"(?:^|/)((?:Patient|Encounter)/[A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?$")


async def read_back(work: Work, step: str, filed: Filed, prepared: Prepared) -> Filed:
    """The note as filed, with the version that it has. What cannot be read now is not known, and nothing hangs on it.

    Raises NeedsPerson `filed_in_another_chart`, with an alarm, where the EHR shows another subject than was sent.
    """
    observed = work.addressee.observed
    if observed.read_back and filed.version:
        return filed
    try:
        held = await work.ehr.read(filed.reference)
    except (Absent, Retryable, NeedsPerson):
        return filed
    filed = replace(filed, version=filed.version or string(held, "meta", "versionId"))
    sent = prepared.resource
    if _of_another(sent, held):
        work.keep(step, filed_result(filed, str(element(sent, "identifier", 0, "value")), []))
        raise NeedsPerson(
            "filed_in_another_chart",
            f"{filed.reference} shows another patient or Encounter than was sent: retract it",
            True,
        )
    if not observed.read_back:
        observed.read_back = True
        _notice(work, sent, held)
    return filed


def _of_another(sent: Json, held: Json) -> bool:
    """Whether the note names another patient or Encounter than was sent. Servers write references in their own way, and may
    leave the Encounter out."""
    return any(
        _named(held, path) is not None and _named(held, path) != _named(sent, path)
        for path in (("subject", "reference"), ("context", "encounter", 0, "reference"))
    )


def _named(note: Json, path: tuple[str | int, ...]) -> str | None:
    match = _TYPE_AND_ID.search(string(note, *path) or "")
    return match[1] if match else None


def _notice(work: Work, sent: Json, held: Json) -> None:
    dropped = sorted(name for name in sent if name not in ("meta", "resourceType") and name not in held)
    if element(sent, "meta", "security") and not element(held, "meta", "security"):
        dropped.append("meta.security")
    kept = [(one.get("system"), one.get("value")) for one in held.get("identifier") or () if isinstance(one, dict)]
    if any((one["system"], one["value"]) not in kept for one in sent.get("identifier", ())):
        work.addressee.observed.keeps_identifier = False
        dropped = sorted({*dropped, "identifier"})
    for name in dropped:
        EHR_DROPPED.labels(name).inc()
    if dropped:
        log.warning("ehr_dropped_elements", ehr=work.ehr.name, detail=", ".join(dropped))
