"""Takes back what the facts no longer support: a note whose recording was withdrawn, replaced, or is another patient's.

Which templates are configured plays no part: only facts take a note back. A note that somebody changed or signed since
it was filed is left for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.errors import NeedsPerson, Retryable
from service.fhir.elements import string
from service.workflow.filed import FiledNote, content_revision, filed_notes
from service.workflow.ports import Absent, AnswerLost, Changed
from service.workflow.work import Result, Work


async def retract_all(work: Work) -> None:
    """Every note of the visit becomes `entered-in-error`."""
    for note in filed_notes(work):
        await _retire(work, note, "entered-in-error")


async def retract_outdated(work: Work, recordings: Mapping[str, Result]) -> None:
    """Every note that does not rest on exactly these recordings: `superseded` where a newer one stands beside it."""
    standing = filed_notes(work)
    current = {n.template for n in standing if n.revision == content_revision(n.template, recordings.values())}
    for note in standing:
        if note.revision != content_revision(note.template, recordings.values()):
            await _retire(work, note, "superseded" if note.template in current else "entered-in-error")


async def still_current(work: Work) -> bool:
    """Whether a note of the visit stands as current in the EHR, which a person may have changed meanwhile."""
    for note in filed_notes(work):
        try:
            if (await work.ehr.read(note.reference)).get("status") == "current":
                return True
        except Absent:
            continue
    return False


async def _retire(work: Work, note: FiledNote, status: str) -> None:
    async def update() -> Result:
        try:
            current = await work.ehr.read(note.reference)
        except Absent:
            return {"reference": note.reference, "status": "gone"}
        if current.get("status") in ("entered-in-error", "superseded"):
            return {"reference": note.reference, "status": current["status"]}
        _refuse_edited(current, note)
        work.guard()
        try:
            await work.ehr.update({**current, "status": status}, string(current, "meta", "versionId"))
        except Absent:
            return {"reference": note.reference, "status": "gone"}
        except Changed:
            raise NeedsPerson(
                "note_edited", f"{note.reference} was changed in the EHR meanwhile: retract it there"
            ) from None
        except AnswerLost:
            raise Retryable(
                "answer_lost", "the EHR did not answer the update; the note will be read again first"
            ) from None
        return {"reference": note.reference, "status": status}

    await work.once(f"retired:{note.key}", update)


def _refuse_edited(current: Mapping[str, Any], note: FiledNote) -> None:
    version = string(current, "meta", "versionId")
    if current.get("docStatus") in ("final", "amended") or (note.version and version and version != note.version):
        raise NeedsPerson(
            "note_edited", f"{note.reference} was edited or signed since it was filed: retract it in the EHR"
        )
