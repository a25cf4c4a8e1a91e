"""`DocumentReference.context`: the visit that a note is about, and the recordings that it was drafted from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.fhir.elements import Json
from service.fhir.note import Note
from service.fhir.profile import Profile
from service.fhir.times import has_time_of_day, moment


def note_context(note: Note, profile: Profile) -> Json:
    context: Json = {}
    if note.encounter:
        context["encounter"] = [{"reference": note.encounter}]
    if note.period:
        context["period"] = _period(note.period, time_of_day=profile.time_of_day)
    if "context.sourcePatientInfo" in profile.required:
        context["sourcePatientInfo"] = {"reference": note.patient}
    if profile.related:
        context["related"] = [{"reference": media} for media in note.media]
    return {name: value for name, value in context.items() if value}


def _period(period: Mapping[str, Any], *, time_of_day: bool) -> Json:
    """Its readable ends, as the EHR wrote them, with its offset: an Encounter's odd period must not keep the note out of
    the chart. An end before the start (FHIR R4 per-1) is left out."""
    ends = {name: text for name in ("start", "end") if isinstance(text := period.get(name), str) and moment(text)}
    if time_of_day:
        ends = {name: text for name, text in ends.items() if has_time_of_day(text)}
    start, end = moment(ends.get("start")), moment(ends.get("end"))
    if start and end and end < start:
        del ends["end"]
    return ends
