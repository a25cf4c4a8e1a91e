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
    """Raises Retryable while the EHR does not answer.

    A conditional create is relied on only where the EHR or its profile names it: If-None-Exist is a header, and a server
    that does not know it files the note twice.
    """
    writing, keeps = work.addressee.profile.writing, work.addressee.observed.keeps_identifier
    said = await work.ehr.capabilities()
    once = _either(writing.conditional_create, said.creates_conditionally(_NOTE))
    finds = _either(writing.identifier_search, said.searches_by("identifier", _NOTE))
    updates = _either(writing.update, said.can("update", _NOTE))
    return Abilities(creates_once=once is True and keeps, finds=finds if keeps else False, updates=updates is not False)


def _either(profile: bool | None, metadata: bool | None) -> bool | None:
    return metadata if profile is None else profile
