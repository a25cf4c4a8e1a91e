"""Is the note in the EHR already? By its identifier where the EHR finds it so, else by what it says and to whom it belongs.

The ledger keeps of every note that is sent what it takes to find it again: hashes of its contents, its day, its patient.
Hashes are over words without the white space between them, for EHRs break lines anew.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

from service.errors import NeedsPerson, NotYet, Retryable
from service.fhir.document_reference import Prepared
from service.fhir.elements import Json, element, mappings, string
from service.fhir.note import search_token
from service.fhir.references import ForeignBase, parse, referenced
from service.fhir.times import moment
from service.workflow.abilities import Abilities, abilities
from service.workflow.ports import Absent
from service.workflow.visit import Write
from service.workflow.work import Result, Work

_UNDECIDED = ("ehr_refused", "ehr_search_incomplete")
_EARLIER = timedelta(days=2)
"""A day without a zone is the server's own (FHIR R4 §3.1.1.5.8), and so may be the date that it keeps."""
_TYPE_AND_ID = re.compile(r"(?:^|/)((?:Patient|Encounter)/[A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?$")
WITHDRAWN = ("entered-in-error", "superseded")


def traces(prepared: Prepared) -> Result:
    """What the ledger keeps of a note before it is sent."""
    note = prepared.resource
    inline = [str(a["data"]) for a in (c["attachment"] for c in note["content"]) if a.get("data")]
    separate = [str(binary["data"]) for _, binary in prepared.binaries]
    return {
        "sha256": [_digest(base64.b64decode(data)) for data in inline + separate],
        "date": note.get("date"),
        "subject": note["subject"]["reference"],
        "docStatus": note.get("docStatus"),
    }


async def find_note(work: Work, step: str, identifier: str) -> Json | None:
    """The note that the `filed:` step may have sent. Raises NeedsPerson `several_matches` where more than one stands, and
    `filed_in_another_chart` with an alarm."""
    write = _write_of(work, step)
    if write and "adopt" in write.sent:
        return await _adopted(work, str(write.sent["adopt"]), identifier)
    return await find_sent(work, step, identifier, write.sent if write else {})


async def find_sent(work: Work, step: str, identifier: str, sent: Result) -> Json | None:
    """The note with this identifier, else with these traces where the identifier does not decide. Raises as `find_note`."""
    can = await abilities(work)
    if can.finds is not False and (found := await _by_identifier(work, identifier, can)):
        if found.get("status") not in WITHDRAWN:
            _refuse_misfiled(work, step, found, identifier, str(sent.get("subject") or work.interaction_of or ""))
        return found
    return None if can.creates_once and can.finds else await _by_traces(work, sent, identifier)


def _refuse_misfiled(work: Work, step: str, found: Json, identifier: str, patient: str) -> None:
    """The step is finished all the same: it is known where its note stands, and that it must be taken back."""
    try:
        refuse_another_chart(found, patient, work.visit.encounter_id)
    except NeedsPerson:
        reference, version = f"DocumentReference/{found['id']}", string(found, "meta", "versionId")
        where: dict[str, Any] = {"reference": reference, "version": version, "identifier": identifier, "media": []}
        work.keep(step, {**where, "found": True, "elsewhere": True})
        raise


async def _by_traces(work: Work, sent: Result, identifier: str) -> Json | None:
    """The note of this patient and Encounter with one of the contents that were sent, unless another step filed it."""
    if not sent.get("sha256"):
        return None
    others = _filed_by_others(work, identifier)
    alike = [
        note
        for note in await _notes_of_the_visit(work, sent)
        if f"DocumentReference/{note['id']}" not in others
        and note.get("status") not in WITHDRAWN
        and await says_the_same(work, note, sent["sha256"])
    ]
    return one_of(alike, identifier)


def _filed_by_others(work: Work, identifier: str) -> set[str]:
    """The notes that other steps filed."""
    filed = [result for step, result in work.results.items() if step.startswith("filed:")]
    return {str(result["reference"]) for result in filed if result.get("identifier") != identifier}


async def refuse_unknown(work: Work, step: str, *, to_send: bool) -> None:
    """For a note that was sent, perhaps, and is not found. Nothing where another can be sent without harm, or, of one that is
    only to be taken back, where looking for its identifier tells that it is not there.

    Raises NotYet while the EHR's search may lag behind, then NeedsPerson `write_unknown`: a second note is worse than a
    late one, unless the settings say otherwise.
    """
    write, settings = _write_of(work, step), work.addressee.settings
    if write is None or not write.in_doubt:
        return
    can = await abilities(work)
    if can.creates_once if to_send else can.finds:
        return
    if write.ago < settings.index_lag:
        raise NotYet("write_unknown", after=settings.index_lag - write.ago)
    if settings.unknown_writes == "hold" or not to_send:
        raise NeedsPerson(
            "write_unknown",
            f"the EHR's answer to {step} was lost and the note is not found: look into the chart of {work.visit.key}, then "
            "`ambient-fhir visits adopt` the note that stands there, or `visits resend`",
        )


def one_of(found: Sequence[Json], identifier: str) -> Json | None:
    """The note among those that may be it. Raises NeedsPerson `several_matches` where more than one stands."""
    standing = [note for note in found if note.get("status") not in WITHDRAWN]
    if len(standing) > 1:
        raise NeedsPerson("several_matches", f"{len(standing)} notes carry identifier {identifier}: delete all but one")
    return next(iter([*standing, *found]), None)


async def says_the_same(work: Work, note: Json, digests: Sequence[str]) -> bool:
    """Whether one of the note's contents is one that was sent."""
    return any(found in digests for found in await _digests(work, note))


async def says_nothing_else(work: Work, note: Json, digests: Sequence[str]) -> bool:
    """Whether the note's contents are those that were sent, no less and no more. Epic keeps the first one only."""
    found = await _digests(work, note)
    return bool(found) and len(found) <= len(digests) and set(found) <= set(digests)


async def _digests(work: Work, note: Json) -> list[str]:
    """Of each content; of one that cannot be read, what no content has."""
    return [_digest(content) if content is not None else "unreadable" async for content in _contents(work, note)]


def refuse_another_chart(note: Json, patient: str, encounter_id: str | None) -> None:
    """Raises NeedsPerson `filed_in_another_chart`, with an alarm, for a note of ours that names another patient or Encounter.

    Servers write references in their own way, and may leave the Encounter out.
    """
    subject = _named(note, "subject", "reference")
    encounters = {named for one in mappings(note, "context", "encounter") if (named := _named(one, "reference"))}
    elsewhere = bool(encounter_id and encounters) and f"Encounter/{encounter_id}" not in encounters
    if (patient and subject not in (None, patient)) or elsewhere:
        raise NeedsPerson(
            "filed_in_another_chart",
            f"DocumentReference/{string(note, 'id')} shows another patient or Encounter than was sent: take it back in the EHR, "
            "find out why, write this visit's note by hand, then discard the visit",
            alarm=True,
        )


def _named(note: Json, *path: str | int) -> str | None:
    match = _TYPE_AND_ID.search(string(note, *path) or "")
    return match[1] if match else None


def _write_of(work: Work, step: str) -> Write | None:
    known = work.visit.steps.get(step)
    return known.write if known else None


async def _by_identifier(work: Work, identifier: str, can: Abilities) -> Json | None:
    try:
        return one_of(await work.ehr.find("DocumentReference", search_token(identifier)), identifier)
    except NeedsPerson as refused:
        if can.finds is None and refused.reason in _UNDECIDED:
            return None
        raise


async def _notes_of_the_visit(work: Work, sent: Result) -> list[Json]:
    """Checked one by one: a lenient server ignores parameters that it does not know, and answers with other charts."""
    parameters = {"patient": str(sent["subject"])}
    if work.visit.encounter_id:
        parameters["encounter"] = work.visit.key
    if written := moment(sent.get("date")):
        parameters["date"] = f"ge{(written - _EARLIER).date().isoformat()}"
    found = await _searched(work, parameters)
    return [note for note in found if is_ours(work, note, str(sent["subject"]))]


async def _searched(work: Work, parameters: dict[str, str]) -> list[Json]:
    """Nothing where the EHR does not search by what is asked, even without a day: then a person looks."""
    for asked in (parameters, {name: value for name, value in parameters.items() if name != "date"}):
        try:
            return await work.ehr.search("DocumentReference", asked)
        except NeedsPerson as refused:
            if refused.reason not in _UNDECIDED:
                raise
    return []


def is_ours(work: Work, note: Json, patient: str) -> bool:
    """Whether the note is in this patient's chart, and of no other Encounter than this visit's; some EHRs leave it out."""
    base = work.ehr.base_url
    try:
        subject = referenced(note, "subject", base=base)
        named = [parse(string(one, "reference") or "", base) for one in mappings(note, "context", "encounter")]
    except ForeignBase:
        return False
    encounters = {str(one) for one in named if one}
    return str(subject) == patient and (not work.visit.encounter_id or not encounters or work.visit.key in encounters)


async def _adopted(work: Work, reference: str, identifier: str) -> Json:
    """The note that a person named. It must be this visit's."""
    try:
        note = await work.ehr.read(reference)
    except Absent:
        raise NeedsPerson("adopted_note_absent", f"{reference} is not in the EHR: adopt another, or resend") from None
    withdrawn, others = note.get("status") in WITHDRAWN, _filed_by_others(work, identifier)
    if withdrawn or reference in others or not is_ours(work, note, work.interaction_of or ""):
        raise NeedsPerson(
            "adopted_note_elsewhere",
            f"{reference} is withdrawn, another note, or not of {work.visit.key}: adopt another, or resend",
        )
    return note


async def _contents(work: Work, note: Json) -> AsyncIterator[bytes | None]:
    for content in mappings(note, "content"):
        data: Any = element(content, "attachment", "data")
        if data is None:
            data = await _binary(work, string(content, "attachment", "url") or "")
        try:
            yield base64.b64decode("".join(data.split()), validate=True) if isinstance(data, str) else None
        except ValueError:
            yield None


async def _binary(work: Work, url: str) -> Any:
    """None for one that cannot be read: somebody's scan, of which we may know nothing more."""
    try:
        binary = parse(url, work.ehr.base_url)
        return (await work.ehr.read(str(binary))).get("data") if binary and binary.type == "Binary" else None
    except (ForeignBase, Absent, NeedsPerson):
        return None
    except Retryable as failure:
        if failure.reason != "ehr_answer_not_fhir":
            raise
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(b" ".join(content.split())).hexdigest()
