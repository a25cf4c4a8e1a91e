"""What the EHR can be relied on for when notes are written: as the profile says, else `/metadata`, and as it was seen."""

from __future__ import annotations

from dataclasses import dataclass

from service.workflow.work import Work

_NOTE = "DocumentReference"


@dataclass(frozen=True, slots=True)
class Abilities:
    """`creates_once`: a create may be repeated, for a second one changes nothing. `finds`: a note is found by its
    identifier; None where only trying it tells. `updates`: a note's status can be changed."""

    creates_once: bool
    finds: bool | None
    updates: bool


async def abilities(work: Work) -> Abilities:
    """Raises Retryable while the EHR does not say what it can, and the profile does not either.

    A conditional create is relied on only where the EHR or its profile names it: If-None-Exist is a header, and a server
    that does not know it files the note twice. And only where no note that was read back lacked its identifier.
    """
    writing, keeps = work.addressee.profile.writing, await _keeps_identifier(work)
    once, finds, updates = writing.conditional_create, writing.identifier_search, writing.update
    if once is None or finds is None or updates is None:
        said = await work.ehr.capabilities()
        once = said.creates_conditionally(_NOTE) if once is None else once
        finds = said.searches_by("identifier", _NOTE) if finds is None else finds
        updates = said.can("update", _NOTE) if updates is None else updates
    return Abilities(once is True and keeps, finds if keeps else False, updates is not False)


async def _keeps_identifier(work: Work) -> bool:
    """As this process saw it, else as an earlier one did; until then it is believed."""
    observed = work.addressee.observed
    if observed.keeps_identifier is None:
        known = await work.visits.identifier_kept(work.ehr.name)
        observed.keeps_identifier = True if known is None else known
    return observed.keeps_identifier
