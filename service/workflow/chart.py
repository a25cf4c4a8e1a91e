"""Whose chart is it? The one question that must never be answered wrongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import NeedsPerson, NotYet
from service.fhir.elements import mapping, mappings, string
from service.fhir.modifiers import not_understood
from service.fhir.references import ForeignBase, Reference, parse
from service.fhir.security_labels import is_restricted
from service.workflow.facts import changed_meanwhile, look_again, read_fact, refuse_news, refuse_overtaken
from service.workflow.filed import filed_notes
from service.workflow.gates import (
    labels_carried_on,
    refuse_restricted,
    refuse_unknown_modifiers,
    refuse_unusable,
    require_consent,
)
from service.workflow.media import WITHDRAWN, Recordings
from service.workflow.ports import Absent
from service.workflow.recording import recording_step
from service.workflow.resolving import refuse_contradiction
from service.workflow.retraction import retract_all, still_current
from service.workflow.transcript import transcript_step
from service.workflow.visit import Fact
from service.workflow.work import Work

_FINISHED = ("finished", "completed", "discharged", "discontinued")  # R4; R5, whose last one began and is over too
_PERFORMERS = ("PPRF", "ATND", "SPRF")  # v3-ParticipationType: primary performer, attender, secondary performer
_ALWAYS_ALARMING = ("subject_mismatch", "subject_changed")
_OTHER_CHART = (*_ALWAYS_ALARMING, "subject_elsewhere", "subject_not_a_patient")
"""What says that a note stands in a wrong chart. Whatever else keeps the patient from being known says nothing about it."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Patient and Encounter of the notes. `withdrawn` says why the visit is not to have any; `ready`: they may be drafted."""

    patient: str
    encounter: str | None
    period: Mapping[str, Any] | None
    kind: str
    practitioner: Mapping[str, Any] | None
    ready: bool
    withdrawn: str | None


async def right_chart(work: Work, recordings: Recordings) -> Chart:
    """Raises NeedsPerson `subject_mismatch` or `subject_changed` with an alarm, NotYet while nobody says who the patient is."""
    encounter = work.visit.encounter
    withdrawn = await _withdrawn(work, encounter, recordings)
    patient = "" if withdrawn else str(await _patient(work, encounter, recordings))
    resource = encounter.resource if encounter else None
    return Chart(
        patient=patient,
        encounter=work.visit.key if work.visit.encounter_id else None,
        period=mapping(resource, "period") or mapping(resource, "actualPeriod"),
        kind=_kind(resource),
        practitioner=_practitioner(work, resource),
        ready=work.notes.trigger == "media_completed" or _status(encounter) in _FINISHED or _waited_enough(work),
        withdrawn=withdrawn,
    )


async def clear_to_leave(work: Work, chart: Chart, recordings: Recordings) -> None:
    """Before anything of the visit goes to the engine: reads again as before filing, while something is still to go."""
    steps = ["interaction", *map(recording_step, recordings.available), *map(transcript_step, recordings.available)]
    if any(step not in work.results for step in steps):
        await read_again(work, chart, recordings)
        return
    for fact in _facts(work, recordings):
        if not_understood(fact.resource) or is_restricted(fact.resource, work.addressee.settings.restricted_labels):
            await look_again(work, fact.reference)  # by an event's word perhaps
    refuse_restricted(work, _facts(work, recordings))
    refuse_unknown_modifiers(_facts(work, recordings))


async def read_again(work: Work, chart: Chart, recordings: Recordings) -> Sequence[Mapping[str, Any]]:
    """Right before anything leaves: Encounter, Media and Patient as the EHR has them now, not as an event said they were, and
    whoever is named by an identifier as the EHR knows them by it now.

    Returns the labels that a note carries on (`labels_carried_on`). Raises NotYet when something changed (the next run starts
    from the new facts), NeedsPerson where a gate is shut.
    """
    references = [m.reference for m in recordings.available] + ([chart.encounter] if chart.encounter else [])
    for reference in references:
        await refuse_news(work, await _still_there(work, reference))
    for media in work.visit.media:
        if media.status in WITHDRAWN:  # by an event's word perhaps, which withdraws nothing that the EHR still has
            await look_again(work, media.reference)
    patient = await _still_there(work, chart.patient)
    await _refuse_other_patient(work, chart, recordings, patient)
    refuse_unusable(patient)
    refuse_restricted(work, [*_facts(work, recordings), patient])
    refuse_unknown_modifiers([*_facts(work, recordings), patient])
    await require_consent(work, chart.patient)
    await refuse_overtaken(work)
    return labels_carried_on([*_facts(work, recordings), patient])


def _facts(work: Work, recordings: Recordings) -> list[Fact]:
    return [*([work.visit.encounter] if work.visit.encounter else []), *recordings.all]


async def _refuse_other_patient(work: Work, chart: Chart, recordings: Recordings, patient: Fact) -> None:
    """Raises NotYet where an identifier leads to somebody else than it did: the next run decides whether work has begun.
    NeedsPerson for a literal reference that its own identifier contradicts, and what `subject_of` raises."""
    for fact in _facts(work, recordings):
        about = await work.subject_of(fact)
        if about is not None and str(about) != chart.patient:
            raise changed_meanwhile()
        refuse_contradiction(fact, "subject", patient)
    if encounter := work.visit.encounter:
        for media in recordings.all:
            refuse_contradiction(media, "encounter", encounter)


async def _still_there(work: Work, reference: str) -> Fact:
    try:
        return await read_fact(work, reference)
    except Absent:
        raise NotYet("not_in_ehr", after=30, detail=reference, at_most=work.notes.incomplete_wait) from None


async def _withdrawn(work: Work, encounter: Fact | None, recordings: Recordings) -> str | None:
    """Why the visit is not to have notes. Takes them back where the Encounter never was; a cancelled one is a person's
    call, unless its note is in a wrong chart."""
    status = _status(encounter)
    if status in ("entered-in-error", "cancelled"):
        await look_again(work, work.visit.key)
    if status == "entered-in-error":
        await retract_all(work)
        return "encounter_entered_in_error"
    if status != "cancelled":
        return None
    if await still_current(work):
        await _patient(work, encounter, recordings)
        raise NeedsPerson(
            "encounter_cancelled_after_filing",
            f"{work.visit.key} was cancelled but has a note: keep or retract it in the EHR",
        )
    return "encounter_cancelled"


def _status(encounter: Fact | None) -> str | None:
    return encounter.status if encounter else None


async def _subject_of_media(work: Work, recordings: Recordings) -> Reference | None:
    subjects = [await work.subject_of(m) for m in recordings.available]
    return next((subject for subject in subjects if subject), None)


async def _patient(work: Work, encounter: Fact | None, recordings: Recordings) -> Reference:
    """The one patient that Encounter and recordings are about. What was filed is taken back where there is none, or it is in
    another chart; where it cannot be known now, it stands."""
    try:
        subject = await (work.subject_of(encounter) if encounter else _subject_of_media(work, recordings))
        if subject is not None:
            await _refuse_mismatch(work, recordings, subject)
            _refuse_change(work, subject)
            return subject
    except (NeedsPerson, NotYet) as wrong:
        for fact in ([encounter] if encounter else []) + list(recordings.all):
            await look_again(work, fact.reference)
        if isinstance(wrong, NotYet) or wrong.reason not in _OTHER_CHART:
            raise
        wrong.alarm = bool(filed_notes(work)) or wrong.reason in _ALWAYS_ALARMING
        await retract_all(work, because=wrong)
    await look_again(work, work.visit.key)
    await retract_all(work)
    raise NotYet("encounter_without_subject", after=60, at_most=work.notes.incomplete_wait)


async def _refuse_mismatch(work: Work, recordings: Recordings, subject: Reference) -> None:
    for media in recordings.all:
        about = await work.subject_of(media)
        if about is not None and about != subject:
            raise NeedsPerson(
                "subject_mismatch", f"{media.reference} and {work.visit.key} name different patients; no note may stand"
            )


def _refuse_change(work: Work, subject: Reference) -> None:
    """A visit whose patient changed after work began is never filed again by itself."""
    began_with = work.interaction_of
    if began_with and began_with != str(subject):
        raise NeedsPerson(
            "subject_changed", f"{work.visit.key} names another patient than when its recording was taken up"
        )


def _kind(resource: Mapping[str, Any] | None) -> str:
    """The ambient API's encounter type for a v3-ActCode class."""
    coded = mapping(resource, "class") or mapping(resource, "class", 0, "coding", 0) or {}  # R4; R5
    return {"EMER": "emergency", "IMP": "inpatient", "ACUTE": "inpatient", "AMB": "outpatient"}.get(
        str(coded.get("code")), "consultation"
    )


def _practitioner(work: Work, resource: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Who treated the patient: the Encounter's first performer or attender, as a Reference."""
    for participant in mappings(resource, "participant"):
        codes = {
            str(coding.get("code")) for kind in mappings(participant, "type") for coding in mappings(kind, "coding")
        }
        text = string(participant, "individual", "reference") or string(participant, "actor", "reference")  # R4; R5
        if text and (not codes or codes & set(_PERFORMERS)):
            try:
                reference = parse(text, work.ehr.base_url)
            except ForeignBase:
                continue
            if reference and reference.type in ("Practitioner", "PractitionerRole"):
                return {"reference": str(reference)}
    return None


def _waited_enough(work: Work) -> bool:
    return (
        work.notes.after_max_wait == "draft"
        and work.visit.waiting_for == "encounter_not_finished"
        and work.visit.waited >= work.notes.max_wait
    )
