"""Facts that no event brought, or not yet: read from the EHR."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from service.errors import NeedsPerson, NotYet
from service.fhir.elements import Json, is_id, string
from service.fhir.recordings import as_media
from service.fhir.references import ForeignBase
from service.workflow.media import sort_media
from service.workflow.ports import Absent
from service.workflow.resolving import is_unresolved, resolve
from service.workflow.visit import RECORDINGS, Fact, is_older, meaning
from service.workflow.work import Work

_CATCHES_UP_WITHIN = 60.0
"""Seconds after which a copy that lags is taken to show a deletion, or a version, that nothing but a pointer told of."""


async def read_missing(work: Work) -> None:
    """Reads the Encounter and every Media of which no event brought the resource, into `work.visit`.

    Raises NotYet while the EHR does not show one of them.
    """
    wanted = [m.reference for m in work.visit.media if m.resource is None and not m.deleted]
    encounter = work.visit.encounter
    if work.visit.encounter_id and (encounter is None or (encounter.resource is None and not encounter.deleted)):
        wanted.append(work.visit.key)
    for reference in wanted:
        try:
            await learn(work, await read_fact(work, reference))
        except Absent:
            raise NotYet("not_in_ehr", after=15, detail=reference, at_most=work.notes.incomplete_wait) from None


async def learn(work: Work, fact: Fact) -> bool:
    """Takes over what the EHR says now, whatever an event said; True when this run did not know it.

    A Media that belongs to another visit is handed to it. Raises NotYet then: the next run starts without it. Raises NotYet
    `ehr_behind` too, for an older version than is known that says something else.
    """
    known = next((own for own in work.visit.facts if own.reference == fact.reference), None)
    said = known is not None and known.deleted == fact.deleted and (fact.deleted or meaning(known) == meaning(fact))
    if known and not fact.deleted:
        if said and is_older(fact, known):
            fact = known  # an older version that says the same, or another clock: nothing hangs on it
        _refuse_outdated(work, fact, known)
    home = await _home_of(work, fact)
    if home == work.visit.key and known and said and _same_version(known, fact):
        return False
    if await work.visits.note_fact(work.visit, fact, home, work.ehr.name):
        work.visit = replace(work.visit, revision=work.visit.revision + 1)
    if home != work.visit.key:
        raise changed_meanwhile()
    if not said:
        work.visit = work.visit.knowing(fact)
    return not said


def _refuse_outdated(work: Work, fact: Fact, known: Fact) -> None:
    """A server that answers from a copy which lags may show the patient of yesterday: nothing is decided by that.

    Where an event said that the resource was deleted, and nothing tells that from the version which is there, or where it
    named a version and nothing else (servers that are restored number anew), the EHR is believed once a copy had time to
    catch up. Else a person is asked, whose retry takes the EHR's word (`adapters.database.facts.drop_claims`).
    """
    older = is_older(fact, known)
    if not older and (not known.deleted or is_older(known, fact)):
        return
    soon = not older or _is_bare(known)
    waited = work.visit.waited if work.visit.waiting_for == "ehr_behind" else 0.0
    if soon and waited >= min(_CATCHES_UP_WITHIN, work.notes.incomplete_wait):
        return
    told = "a deletion" if known.deleted else _version(known)
    detail = f"{fact.reference}: an event told of {told}, the EHR shows {_version(fact)}"
    at_most = None if soon else work.notes.incomplete_wait
    raise NotYet("ehr_behind", after=min(5.0, work.notes.incomplete_wait), detail=detail, at_most=at_most)


def _is_bare(known: Fact) -> bool:
    """A pointer that said nothing about its version but the number."""
    return not known.deleted and known.resource is None and known.last_updated is None


def _version(fact: Fact) -> str:
    return f"version {fact.version}" if is_id(fact.version) else "another version"


def _same_version(known: Fact, fact: Fact) -> bool:
    return (known.version, known.last_updated) == (fact.version, fact.last_updated)


async def _home_of(work: Work, fact: Fact) -> str:
    """The key of the visit that a resource belongs to. Raises NeedsPerson for an Encounter of another server, and what
    `resolve` raises. What is no recording is not worth that: it stays where it is."""
    if fact.type not in RECORDINGS or fact.deleted:
        return work.visit.key
    try:
        if not sort_media((fact,)).any and is_unresolved(fact, "encounter", work.ehr.base_url):
            return work.visit.key
        encounter = await resolve(work.ehr, fact, "encounter", "Encounter", work.notes.incomplete_wait)
    except ForeignBase:
        raise NeedsPerson("encounter_elsewhere", f"{fact.reference} names an Encounter of another server") from None
    return str(encounter) if encounter and encounter.type == "Encounter" else fact.reference


def changed_meanwhile() -> NotYet:
    """The next run starts from the news; `outcomes` keeps runs apart while news keeps coming."""
    return NotYet("changed_meanwhile", after=0)


async def refuse_overtaken(work: Work) -> None:
    """Raises NotYet when facts arrived since this run began: a note is never drafted or filed from outdated ones."""
    if await work.visits.is_overtaken(work.visit):
        raise changed_meanwhile()


async def refuse_news(work: Work, fact: Fact) -> None:
    """Takes over what the EHR says now. Raises NotYet when this run did not know it: the next run starts from it."""
    if await learn(work, fact):
        raise changed_meanwhile()


async def look_again(work: Work, reference: str) -> None:
    """Reads what a decision hangs on from the EHR, as `refuse_news` does; what the EHR does not show is no news."""
    with suppress(Absent):
        await refuse_news(work, await read_fact(work, reference))


async def look_for(work: Work, reference: str) -> None:
    """As `look_again`, for a resource that this visit may have lost to another: it is news where the EHR says it is ours."""
    with suppress(Absent):
        fact = await read_fact(work, reference)
        if await _home_of(work, fact) == work.visit.key:
            await refuse_news(work, fact)


async def read_fact(work: Work, reference: str) -> Fact:
    """The resource as the EHR has it now; deleted when the EHR says it is gone (410). Raises Absent (404)."""
    kind, _, ident = reference.partition("/")
    try:
        return as_fact(await work.ehr.read(reference))
    except Absent as absent:
        if not absent.gone:
            raise
        return Fact(kind, ident, None, None, deleted=True, resource=None)


def as_fact(resource: Json) -> Fact:
    kind = string(resource, "resourceType") or ""
    return Fact(
        type=kind,
        id=string(resource, "id") or "",
        version=string(resource, "meta", "versionId"),
        last_updated=string(resource, "meta", "lastUpdated"),
        deleted=False,
        resource=as_media(resource) if kind in RECORDINGS and kind != "Media" else resource,
    )


async def follow_encounter(work: Work) -> None:
    """For a Media that named no Encounter: where the EHR's version names one now, hands it to that visit (NotYet).

    Raises NeedsPerson `media_without_encounter`, unless notes without an Encounter are allowed.
    """
    if work.visit.encounter_id:
        return
    await look_again(work, work.visit.key)
    if not (work.notes.trigger == "media_completed" and work.notes.allow_without_encounter):
        raise NeedsPerson("media_without_encounter", f"name the Encounter in {work.visit.key}.encounter")
