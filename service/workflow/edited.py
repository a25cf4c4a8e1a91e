"""Has somebody changed or signed a note since it was filed? Then it is theirs, and never touched by itself."""

from __future__ import annotations

from service.fhir.elements import Json, string
from service.workflow.filed import FiledNote
from service.workflow.lookup import says_nothing_else
from service.workflow.work import Work


async def is_edited(work: Work, current: Json, note: FiledNote) -> bool:
    """A signature that was not sent, another version than was filed; and, where no answer told the version, other words.

    EHRs change words as they take them in, so that they are compared only where nothing else tells.
    """
    version = string(current, "meta", "versionId")
    signed = current.get("docStatus") in ("final", "amended") and current["docStatus"] != note.sent.get("docStatus")
    if signed or current.get("authenticator") or (note.version and version and version != note.version):
        return True
    if note.version and not note.found:
        return False
    return bool(note.sent.get("sha256")) and not await says_nothing_else(work, current, note.sent["sha256"])
