"""Takes back what the facts no longer support: a note whose recording was withdrawn, replaced, or is another patient's.

Which templates are configured plays no part: only facts take a note back. A note that somebody changed or signed since
it was filed is left for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from service.errors import NeedsPerson, NotYet, Retryable
from service.fhir.elements import Json, string
from service.telemetry import WRONG_CHART
from service.workflow.abilities import abilities
from service.workflow.edited import is_edited
from service.workflow.facts import look_for
from service.workflow.filed import FiledNote, content_revision, filed_notes, find_unfinished
from service.workflow.lookup import WITHDRAWN
from service.workflow.media import WITHDRAWN as NO_RECORDING
from service.workflow.ports import Absent, Changed
from service.workflow.work import Result, Work

log = structlog.get_logger()


async def find_withdrawn(work: Work) -> None:
    """A retraction whose answer never came may have been carried out: that note stands no more, whatever the facts say
    by now."""
    for note in filed_notes(work):
        step = f"retired:{note.key}"
        if step in work.visit.steps and await is_withdrawn(work, note):
            work.keep(step, {"reference": note.reference, "status": "withdrawn"})


async def is_withdrawn(work: Work, note: FiledNote) -> bool:
    """Whether the note stands no more in the EHR; one that it does not show (404) may stand."""
    try:
        return (await work.ehr.read(note.reference)).get("status") in WITHDRAWN
    except Absent as absent:
        return absent.gone


async def refuse_misfiled(work: Work) -> None:
    """A note that the EHR showed in another chart is taken back, and its visit files none any more: a person must find out why.
    Raises NeedsPerson `filed_in_another_chart`, with an alarm."""
    misfiled = {step.partition(":")[2]: result for step, result in work.results.items() if result.get("elsewhere")}
    if not misfiled:
        return
    references = ", ".join(str(result["reference"]) for result in misfiled.values())
    because = NeedsPerson(
        "filed_in_another_chart",
        f"{references} showed another patient or Encounter than was sent: see that it is taken back in the EHR, find out why, write "
        "this visit's note by hand, then discard the visit",
        alarm=True,
    )
    notes = [(note, "entered-in-error") for note in filed_notes(work) if note.key in misfiled]
    await _retire_each(work, notes, because)


async def retract_unsupported(work: Work) -> None:
    """A note that quotes a recording which was withdrawn, or is another visit's now, does not stand until the next one is
    there. An event's word alone withdraws nothing that the EHR still has."""
    sound = {media.reference for media in work.visit.media if media.status not in NO_RECORDING}
    quoting = [note for note in filed_notes(work) if note.media - sound]
    for reference in sorted({gone for note in quoting for gone in note.media - sound}):
        await look_for(work, reference)
    await _retire_each(work, [(note, "entered-in-error") for note in quoting], None)


async def retract_all(work: Work, because: NeedsPerson | None = None) -> None:
    """Every note of the visit becomes `entered-in-error`. Then raises `because`, if it is given; else NeedsPerson
    `note_edited` when a note had to be left to a person."""
    doubt = await find_unfinished(work)
    await _retire_each(work, [(note, "entered-in-error") for note in filed_notes(work)], because)
    if doubt:
        raise doubt


async def retract_outdated(work: Work, recordings: Mapping[str, Result]) -> None:
    """Every note that does not rest on exactly these recordings: `superseded` where a newer one stands beside it.
    Raises NeedsPerson `note_edited` as `retract_all` does."""
    doubt = await find_unfinished(work)
    standing = [
        (note, note.revision == content_revision(note.template, recordings.values())) for note in filed_notes(work)
    ]
    replaced = {note.template for note, is_current in standing if is_current}
    outdated = [
        (note, "superseded" if note.template in replaced else "entered-in-error") for note, ok in standing if not ok
    ]
    await _retire_each(work, outdated, None)
    if doubt:
        raise doubt


async def _retire_each(work: Work, notes: Sequence[tuple[FiledNote, str]], because: NeedsPerson | None) -> None:
    """One note that cannot be taken back must not keep the others standing. While one is tried again the alarm sounds already.
    Raises Retryable, NotYet, `because`, or NeedsPerson for notes that are left to a person."""
    left: list[NeedsPerson] = []
    later: Retryable | NotYet | None = None
    for note, status in notes:
        try:
            await _retire(work, note, status)
        except NeedsPerson as edited:
            left.append(edited)
        except (Retryable, NotYet) as passing:
            later = passing
    if later:
        if because and because.alarm:
            WRONG_CHART.inc()
            log.error("note_not_taken_back_yet", visit=work.visit.id, reason=because.reason)
        raise later
    details = [because.detail if because else "", *(edited.detail for edited in left)]
    if because or left:
        words, alarm = "; ".join(detail for detail in details if detail), because is not None and because.alarm
        raise NeedsPerson((because or left[0]).reason, words, alarm)


async def still_current(work: Work) -> bool:
    """Whether a note of the visit stands as current in the EHR, which a person may have changed meanwhile."""
    doubt = await find_unfinished(work)
    for note in filed_notes(work):
        try:
            if (await work.ehr.read(note.reference)).get("status") == "current":
                return True
        except Absent:
            continue
    if doubt:
        raise doubt
    return False


async def _retire(work: Work, note: FiledNote, status: str) -> None:
    step = f"retired:{note.key}"

    async def update() -> Result:
        try:
            current = await work.ehr.read(note.reference)
        except Absent as absent:
            return _gone(work, note, absent)
        if current.get("status") in WITHDRAWN:
            return {"reference": note.reference, "status": current["status"]}
        await _refuse_edited(work, current, note)
        version = string(current, "meta", "versionId")
        if not version or not (await abilities(work)).updates:
            raise _pending(note)
        try:
            await work.write(step, {}, lambda: work.ehr.update({**current, "status": status}, version))
        except Absent as absent:
            return _gone(work, note, absent)
        except Changed:
            raise NeedsPerson(
                "note_edited", f"{note.reference} was changed in the EHR meanwhile: retract it there"
            ) from None
        return {"reference": note.reference, "status": status}

    await work.once(step, update)


def _pending(note: FiledNote) -> NeedsPerson:
    """For an EHR in which only a person can take a note back, or one that names no versions: an edit would be lost."""
    return NeedsPerson(
        "retraction_pending_manual", f"mark {note.reference} as entered in error in the EHR, then retry this visit"
    )


def _gone(work: Work, note: FiledNote, absent: Absent) -> Result:
    """410 says that the note was deleted; 404 may be a replica that lags, or a right that is missing."""
    if not absent.gone:
        raise NotYet("note_not_in_ehr", after=30, detail=note.reference, at_most=work.notes.incomplete_wait)
    return {"reference": note.reference, "status": "gone"}


async def _refuse_edited(work: Work, current: Json, note: FiledNote) -> None:
    if await is_edited(work, current, note):
        raise NeedsPerson(
            "note_edited", f"{note.reference} was edited or signed since it was filed: retract it in the EHR"
        )
