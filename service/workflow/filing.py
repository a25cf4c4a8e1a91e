"""Filing: the drafted document becomes one DocumentReference in the EHR, in the right chart, once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from service.errors import NeedsPerson, Retryable
from service.fhir.codes import DEVICE_SYSTEM
from service.fhir.document_reference import Prepared, prepare
from service.fhir.elements import Json
from service.fhir.note import Note, search_token
from service.fhir.provide_bundle import provide_bundle
from service.fhir.unmet import NoteTooLarge, ProfileUnmet
from service.telemetry import CHARACTERS_REMOVED
from service.workflow.abilities import abilities
from service.workflow.chart import Chart, read_again
from service.workflow.document import Draft
from service.workflow.edited import is_edited
from service.workflow.filed import filed_notes, filed_result, filing_key, found_result, heard, identifier_of
from service.workflow.lookup import find_note, find_sent, refuse_unknown, traces
from service.workflow.media import Recordings
from service.workflow.ports import Absent, Document, Filed
from service.workflow.read_back import read_back
from service.workflow.work import Result, Work

log = structlog.get_logger()


async def ensure_filed(
    work: Work,
    chart: Chart,
    recordings: Recordings,
    uploaded: Mapping[str, Result],
    template: str,
    revision: str,
    draft: Draft,
) -> str:
    """Reads Encounter, Media and Patient again, then creates the note, and returns its key.

    Raises NotYet or NeedsPerson from that reading, and Retryable when the EHR's answer was lost: the next run looks
    for the note before it sends another, and holds it for a person where looking does not tell (`write_unknown`).
    """
    key = filing_key(work.results, template, revision)
    step, identifier = f"filed:{key}", identifier_of(work, key)
    media = [heard(recording) for recording in uploaded.values()]

    async def send() -> Result:
        labels = await read_again(work, chart, recordings)
        note = _note(work, chart, recordings, await draft(), template, identifier)
        note = replace(note, labels=labels, replaces=await _replaced(work, template))
        prepared = await asyncio.to_thread(_prepared, work, note)
        filed = await _sent(work, step, note, prepared)
        if filed.created and step in work.visit.steps:
            # A conditional create is not atomic everywhere: the earlier one may have come through as well. Where that
            # cannot be seen now this one is filed all the same, and the sweep looks again.
            with suppress(Retryable):
                await look()
        return filed_result(await read_back(work, step, filed, prepared, chart.patient), identifier, media)

    async def look() -> Result | None:
        found = await find_note(work, step, identifier)
        if found:
            return found_result(found, identifier, media)
        await refuse_unknown(work, step, to_send=True)
        return None

    await work.once(step, send, look)
    return key


async def _sent(work: Work, step: str, note: Note, prepared: Prepared) -> Filed:
    """By a conditional create where the EHR has it; else after a look, for it may be there from before the database was."""
    identifier, sent = search_token(note.identifier), traces(prepared)
    can, profile = await abilities(work), work.addressee.profile
    if not can.creates_once and (found := await find_sent(work, step, note.identifier, sent)):
        return Filed(f"DocumentReference/{found['id']}", None, created=False)
    if profile.writing.bundle:
        bundle = provide_bundle(prepared, note, profile)
        kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
        filed = await work.write(step, sent, lambda: work.ehr.transact(bundle))
        return filed[kinds.index("DocumentReference")]
    resource = await _with_contents(work, step, prepared)
    if can.creates_once:
        return await work.write(step, sent, lambda: work.ehr.create_once(resource, identifier))
    return await work.write(step, sent, lambda: work.ehr.create(resource))


async def _with_contents(work: Work, step: str, prepared: Prepared) -> Json:
    """The resource, its separate contents created before it. After a lost answer one of them may stand alone in the EHR,
    and so may those of an earlier draft: a Binary cannot be looked for, and nothing refers to it."""
    urls: dict[str, str] = {}
    for number, (urn, binary) in enumerate(prepared.binaries):

        async def create(binary: Json = binary) -> Result:
            return {"reference": (await work.send(lambda: work.ehr.create(binary))).reference}

        digest = hashlib.sha256(f"{binary['contentType']}\n{binary['data']}".encode()).hexdigest()[:12]
        content = f"content:{step.partition(':')[2]}#{number}:{digest}"
        urls[urn] = str((await work.once(content, create))["reference"])
    contents = [
        {**content, "attachment": {**content["attachment"], "url": urls.get(url, url)}}
        if (url := content["attachment"].get("url"))
        else content
        for content in prepared.resource["content"]
    ]
    return {**prepared.resource, "content": contents}


def _note(work: Work, chart: Chart, recordings: Recordings, document: Document, template: str, identifier: str) -> Note:
    return Note(
        identifier=identifier,
        template=template,
        title=template.removeprefix("corti-").replace("-", " ").replace("soap", "SOAP note"),
        language=document.language,
        sections=[(section.name, section.text) for section in document.sections],
        patient=chart.patient,
        encounter=chart.encounter,
        period=chart.period,
        media=[media.reference for media in recordings.available],
        authors=_authors(work.addressee.settings.author, chart.practitioner),
        written_at=datetime.now(UTC),
        custodian=work.addressee.settings.organization,
    )


async def _replaced(work: Work, template: str) -> str | None:
    """The note that this one replaces: none that somebody changed or signed, which stays what it is."""
    previous = [note for note in filed_notes(work) if note.template == template]
    if not previous:
        return None
    try:
        current = await work.ehr.read(previous[-1].reference)
    except Absent as absent:
        return None if absent.gone else previous[-1].reference
    return None if await is_edited(work, current, previous[-1]) else previous[-1].reference


def _prepared(work: Work, note: Note) -> Prepared:
    try:
        prepared = prepare(note, work.addressee.profile)
    except NoteTooLarge as error:
        raise NeedsPerson("note_too_large", str(error)) from None
    except ProfileUnmet as error:
        raise NeedsPerson("profile_unmet", str(error)) from None
    except ValueError as error:
        raise NeedsPerson("note_not_valid", str(error)) from None
    CHARACTERS_REMOVED.inc(prepared.removed)
    if prepared.fell_back:
        log.info("note_fell_back", template=note.template, detail=", ".join(prepared.fell_back))
    return prepared


def _authors(policy: str, practitioner: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The device is named by identifier, so that no Device resource has to exist in the EHR."""
    device = {
        "type": "Device",
        "identifier": {"system": DEVICE_SYSTEM, "value": "ambient-fhir"},
        "display": "ambient-fhir (AI scribe)",
    }
    authors: list[Mapping[str, Any]] = [device] if "device" in policy else []
    return authors + ([practitioner] if practitioner and "practitioner" in policy else [])
