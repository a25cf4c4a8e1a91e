"""Where a note came from, as a FHIR R4 Provenance: an AI drafted it, from these recordings, and nobody has verified it.

HL7 AI Transparency on FHIR (hl7.fhir.uv.aitransparency, 1.0.0-ballot), profile AI-Provenance: reason AIAST, and an agent whose
role is Artificial-Intelligence. The practitioner was heard, so they are `informant`: never `verifier`, which is for the EHR to
say once somebody has signed. Ids alone: no prompt, no transcript, no text of the note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.fhir.codes import AI_ASSERTED, DEVICE_SYSTEM, TEMPLATE_SYSTEM
from service.fhir.device import ARTIFICIAL_INTELLIGENCE, SCRIBE, Scribe, device
from service.fhir.elements import Json, mapping, mappings, string
from service.fhir.references import ForeignBase, parse

_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_CREATED = {"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a note came from. References are `Type/id`; `version` is the note's versionId, `recorded` is aware."""

    note: str
    version: str | None
    template: str
    media: Sequence[str]
    encounter: str | None
    practitioner: str | None
    organization: str | None
    recorded: datetime


def provenance(origin: Origin, scribe: Scribe, known_as: str | None) -> Json:
    """The resource to create, without an id. Where the EHR does not know the scribe, as `known_as`, it is contained."""
    sources = [*origin.media, *([origin.encounter] if origin.encounter else [])]
    resource: Json = {
        "resourceType": "Provenance",
        "contained": [] if known_as else [{**device(scribe), "id": "scribe"}],
        "target": [{"reference": f"{origin.note}/_history/{origin.version}" if origin.version else origin.note}],
        "recorded": origin.recorded.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "reason": [{"coding": [AI_ASSERTED]}],
        "activity": {"coding": [_CREATED]},
        "agent": [_scribe(origin, scribe, known_as), *_informants(origin)],
        "entity": [
            *({"role": "source", "what": {"reference": source}} for source in sources),
            {"role": "derivation", "what": {"identifier": {"system": TEMPLATE_SYSTEM, "value": origin.template}}},
        ],
    }
    return {name: value for name, value in resource.items() if value}


def is_about(found: Json, note: str, scribe: Scribe, base: str) -> bool:
    """Whether this Provenance says that a scribe drafted the note, in whatever version: its agent is named by identifier, is
    contained, or is the Device as which the EHR knows it."""
    if not any(_local(string(target, "reference"), base) == note for target in mappings(found, "target")):
        return False
    contained = any(_is_scribes(i) for one in mappings(found, "contained") for i in mappings(one, "identifier"))
    known = {reference for reference in scribe.devices.values() if reference}
    whos = [mapping(agent, "who") or {} for agent in mappings(found, "agent")]
    return contained or any(
        _is_scribes(mapping(who, "identifier") or {}) or _local(string(who, "reference"), base) in known for who in whos
    )


def _is_scribes(identifier: Json) -> bool:
    return identifier.get("system") == DEVICE_SYSTEM


def _scribe(origin: Origin, scribe: Scribe, known_as: str | None) -> Json:
    who = {
        "reference": known_as or "#scribe",
        "type": "Device",
        "identifier": {"system": DEVICE_SYSTEM, "value": scribe.name},
        "display": SCRIBE,
    }
    agent: Json = {"type": _participant("author"), "role": [{"coding": [ARTIFICIAL_INTELLIGENCE]}], "who": who}
    return agent | ({"onBehalfOf": {"reference": origin.organization}} if origin.organization else {})


def _informants(origin: Origin) -> list[Json]:
    if not origin.practitioner:
        return []
    agent: Json = {"type": _participant("informant"), "who": {"reference": origin.practitioner}}
    return [agent | ({"onBehalfOf": {"reference": origin.organization}} if origin.organization else {})]


def _participant(code: str) -> Json:
    return {"coding": [{"system": _PARTICIPANT, "code": code}]}


def _local(text: str | None, base: str) -> str | None:
    """`Type/id` on this base, whatever the form."""
    try:
        return str(parse(text, base) or "") if text else None
    except ForeignBase:
        return None
