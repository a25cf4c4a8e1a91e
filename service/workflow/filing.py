"""Filing: the drafted document becomes one DocumentReference in the EHR, in the right chart, once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from service.errors import NeedsPerson
from service.fhir.codes import DEVICE_SYSTEM
from service.fhir.document_reference import Note, document_reference, search_token
from service.workflow.chart import Chart, read_again
from service.workflow.document import Draft
from service.workflow.filed import filed_notes, filed_result, filing_key, found_result, heard, identifier_of, one_of
from service.workflow.media import Recordings
from service.workflow.ports import Document
from service.workflow.work import Result, Work


async def ensure_filed(
    work: Work,
    chart: Chart,
    recordings: Recordings,
    uploaded: Mapping[str, Result],
    template: str,
    revision: str,
    draft: Draft,
) -> None:
    """Reads Encounter, Media and Patient again, then creates the note conditionally on its identifier.

    Raises NotYet or NeedsPerson from that reading, and Retryable when the EHR's answer was lost: the next run looks
    for the note before it sends another.
    """
    key = filing_key(work.results, template, revision)
    step = f"filed:{key}"
    identifier = identifier_of(work, key)
    media = [heard(recording) for recording in uploaded.values()]

    async def send() -> Result:
        await read_again(work, chart, recordings)
        resource = await asyncio.to_thread(_resource, work, chart, recordings, await draft(), template, identifier)
        filed = await work.send(lambda: work.ehr.create_once(resource, search_token(identifier)))
        if step in work.visit.steps:
            await look()  # a conditional create is not atomic everywhere: the earlier one may have come through as well
        return filed_result(filed, identifier, media)

    async def look() -> Result | None:
        found = one_of(await work.ehr.find("DocumentReference", search_token(identifier)), identifier)
        return found_result(found, identifier, media) if found else None

    await work.once(step, send, look)


def _resource(
    work: Work, chart: Chart, recordings: Recordings, document: Document, template: str, identifier: str
) -> dict[str, Any]:
    previous = [note.reference for note in filed_notes(work) if note.template == template]
    note = Note(
        identifier=identifier,
        template=template,
        title=template.removeprefix("corti-").replace("-", " ").replace("soap", "SOAP note"),
        language=document.language,
        sections=[(section.name, section.text) for section in document.sections],
        patient=chart.patient,
        encounter=chart.encounter,
        period=chart.period,
        media=[media.reference for media in recordings.available],
        authors=_authors(work.addressee.author, chart.practitioner),
        written_at=datetime.now(UTC),
        replaces=previous[-1] if previous else None,
    )
    try:
        return document_reference(note, work.addressee.profile)
    except ValueError as error:
        raise NeedsPerson("note_not_valid", str(error)) from None


def _authors(policy: str, practitioner: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The device is named by identifier, so that no Device resource has to exist in the EHR."""
    device = {
        "type": "Device",
        "identifier": {"system": DEVICE_SYSTEM, "value": "ambient-fhir"},
        "display": "ambient-fhir (AI scribe)",
    }
    authors: list[Mapping[str, Any]] = [device] if "device" in policy else []
    return authors + ([practitioner] if practitioner and "practitioner" in policy else [])
