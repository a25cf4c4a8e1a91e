"""A DocumentReference that holds a recording, told as the Media it stands for: everything after here reads Media alone.

R5 has no Media, its DocumentReference took it over, and telehealth platforms write one in R4 already. Sources: FHIR R4 and
R5 DocumentReference; the R4 status words mapped are document-reference-status and composition-status.
"""

from __future__ import annotations

from collections.abc import Iterator

from service.fhir.codes import AI_ASSERTED, NOTE_SYSTEM
from service.fhir.elements import Json, element, mapping, mappings, string

_STATUSES = {"current": "completed", "superseded": "entered-in-error", "entered-in-error": "entered-in-error"}
_DOC_STATUSES = {
    "registered": "in-progress", "partial": "in-progress", "preliminary": "in-progress", "entered-in-error": "entered-in-error",
}  # fmt: skip


def is_audio_document(document: Json) -> bool:
    """Whether it holds audio or video, and is no note of this service's own."""
    return _sound(document) is not None and not is_own_note(document)


def is_own_note(document: Json) -> bool:
    """By our identifier, or by the label of what a machine has written: such a note is never a recording."""
    labels = (label.get("code") for label in mappings(document, "meta", "security"))
    systems = (identifier.get("system") for identifier in mappings(document, "identifier"))
    return AI_ASSERTED["code"] in labels or NOTE_SYSTEM in systems


def as_media(document: Json) -> Json:
    """The Media that it stands for, under its own type and id. What is no recording is told as one that was not done.

    A `superseded` document is withdrawn, since the one that replaced it comes by its own event. One whose `docStatus` is
    `preliminary` may be incomplete by that code's definition, so it is awaited like a recording that is still going on.
    """
    named: Json = {name: document[name] for name in ("resourceType", "id", "meta") if name in document}
    if labels := list(_labels(document)):
        own = element(document, "meta", "security")
        listed = own if isinstance(own, list) else [] if own is None else [own]
        named["meta"] = {**(mapping(document, "meta") or {}), "security": [*listed, *labels]}
    sound = _sound(document)
    status = _status(document)
    if is_own_note(document) or (sound is None and (document.get("content") or status != "entered-in-error")):
        return {**named, "status": "not-done"}
    told: Json = {
        **named,
        "status": status,
        "content": sound,
        "createdPeriod": mapping(document, "context", "period") or mapping(document, "period"),
        "createdDateTime": string(sound, "creation") or string(document, "date"),
        "encounter": _encounter(document),
        "modifierExtension": list(_modifiers(document)),
        **{name: document.get(name) for name in ("subject", "contained", "implicitRules", "identifier")},
    }
    return {name: value for name, value in told.items() if value not in (None, [], {})}


def _labels(document: Json) -> Iterator[object]:
    """The codings of its own `securityLabel`, which a Media has in `meta.security` alone. A label without a coding stays one
    that cannot be read."""
    given = document.get("securityLabel")
    for concept in given if isinstance(given, list) else [] if given is None else [given]:
        codings = element(concept, "coding")
        yield from (codings if isinstance(codings, list) else [codings]) or [{}]


def _sound(document: Json) -> Json | None:
    """The first attachment that is audio or video; several are the same recording in several formats."""
    attachments = (attachment for one in mappings(document, "content") if (attachment := mapping(one, "attachment")))
    return next(
        (a for a in attachments if (string(a, "contentType") or "").lower().startswith(("audio/", "video/"))), None
    )


def _status(document: Json) -> str:
    status = _STATUSES.get(str(document.get("status")), "unknown")
    return _DOC_STATUSES.get(str(document.get("docStatus")), status) if status == "completed" else status


def _encounter(document: Json) -> Json | None:
    """Its one Encounter, which R5 keeps in `context` itself. Of several nobody can say whose recording it is."""
    listed = [*mappings(document, "context", "encounter"), *mappings(document, "context")]
    encounters = [one for one in listed if not any(other in _kind(one) for other in ("EpisodeOfCare", "Appointment"))]
    return encounters[0] if len(encounters) == 1 else None


def _kind(reference: Json) -> str:
    return string(reference, "type") or string(reference, "reference") or ""


def _modifiers(document: Json) -> Iterator[Json]:
    """Also those of the parts that are read here."""
    yield from mappings(document, "modifierExtension")
    for part in [*mappings(document, "content"), element(document, "context")]:
        yield from mappings(part, "modifierExtension")
