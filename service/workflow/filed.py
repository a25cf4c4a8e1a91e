"""The notes that stand in the EHR, as the steps of their visit remember them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from service.errors import NeedsPerson, NotYet
from service.fhir.elements import Json, string
from service.fhir.note import note_identifier
from service.workflow.lookup import find_note, refuse_unknown
from service.workflow.ports import Filed
from service.workflow.work import Result, Work


@dataclass(frozen=True, slots=True)
class FiledNote:
    """`key` is `template:revision`, and `~n` for the nth time after it was taken back; `reference` and `version` are the EHR's.
    `media` are the recordings it was drafted from, `sent` what the ledger kept of it, where that is known.
    `found`: its version is not that of an answer, so that it may be somebody's edit."""

    key: str
    template: str
    revision: str
    reference: str
    version: str | None
    media: frozenset[str] = frozenset()
    sent: Result = field(default_factory=dict)
    found: bool = False


def content_revision(template: str, recordings: Iterable[Result]) -> str:
    """Hash of the ordered (Media id, audio hash) list and the template; never of the note's text."""
    return hashlib.sha256("\n".join([template, *map(heard, recordings)]).encode()).hexdigest()[:16]


def heard(recording: Result) -> str:
    """What a note was drafted from: the Media and the hash of its audio."""
    return f"{recording['media']}:{recording['sha256']}"


def filing_key(results: Mapping[str, Result], template: str, revision: str) -> str:
    """The key to file under now. A note that was taken back never stands again: the same recordings, when they are
    restored, get a new one under a new identifier."""
    taken_back = sum(step.partition("~")[0] == f"retired:{template}:{revision}" for step in results)
    return f"{template}:{revision}" + (f"~{taken_back}" if taken_back else "")


def identifier_of(work: Work, key: str) -> str:
    """The business identifier of the note that is filed under this key."""
    return note_identifier(work.ehr.name, work.visit.key, *key.split(":"))


def found_result(found: Json, identifier: str, media: list[str]) -> Result:
    """The result of a `filed:` step whose note was found in the EHR: it may have been changed before."""
    filed = Filed(f"DocumentReference/{string(found, 'id')}", string(found, "meta", "versionId"), created=False)
    return filed_result(filed, identifier, media)


def filed_result(filed: Filed, identifier: str, media: list[str]) -> Result:
    """`media`: what the note was drafted from, each as `heard` names it; empty where that is not known. `found`: it was there
    already, so that its version may be somebody's edit."""
    found = {} if filed.created else {"found": True}
    return {"reference": filed.reference, "version": filed.version, "identifier": identifier, "media": media, **found}


async def find_unfinished(work: Work) -> NotYet | NeedsPerson | None:
    """A note that was sent and whose answer never came stands in the EHR all the same: what is to be taken back must
    be known first. Finishes the step of each one that is found; returns what is to be raised for one that may stand and
    is not found."""
    doubt: NotYet | NeedsPerson | None = None
    for step in work.visit.steps.values():
        kind, _, key = step.name.partition(":")
        if kind != "filed" or step.name in work.results:
            continue
        identifier = identifier_of(work, key)
        try:
            found = await find_note(work, step.name, identifier)
        except NeedsPerson as wrong:
            if not wrong.alarm:
                raise
            doubt = wrong  # it is known where the note stands, and it is taken back with the others
            continue
        if found:
            work.keep(step.name, found_result(found, identifier, []))
            continue
        try:
            await refuse_unknown(work, step.name, to_send=False)
        except (NotYet, NeedsPerson) as unknown:
            doubt = unknown
    return doubt


def filed_notes(work: Work) -> list[FiledNote]:
    """Every note of this visit that was filed and not retired since, oldest first."""
    notes = []
    for step, result in work.results.items():
        kind, _, key = step.partition(":")
        if kind == "filed" and f"retired:{key}" not in work.results:
            template, _, revision = key.partition("~")[0].rpartition(":")
            media = frozenset(heard.rpartition(":")[0] for heard in result.get("media") or ())
            known = work.visit.steps.get(step)
            sent = known.write.sent if known and known.write else work.sent.get(step, {})
            version, found = result.get("version"), bool(result.get("found"))
            notes.append(FiledNote(key, template, revision, result["reference"], version, media, sent, found))
    return notes
