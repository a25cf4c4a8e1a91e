"""The scribe as a FHIR R4 Device: what heard the recording and drafted the note.

HL7 AI Transparency on FHIR (hl7.fhir.uv.aitransparency, 1.0.0-ballot), profile AI-Device: `type` is Artificial-Intelligence,
and identifier, names and versions say which. The profile is not claimed in `meta`, for the guide still moves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.fhir.codes import DEVICE_SYSTEM
from service.fhir.elements import Json

ARTIFICIAL_INTELLIGENCE = {
    "system": "http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS",
    "code": "Artificial-Intelligence",
}
SCRIBE = "ambient-fhir (AI scribe)"
_PRODUCT = "ambient-fhir"
_PLAIN = re.compile(r"[^A-Za-z0-9.-]+")
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Scribe:
    """`versions` are (what, which) pairs: of the software, then of whatever transcribes and writes.

    `devices` remembers for this process as which Device each EHR, by its name, knows this scribe; None where it takes none.
    """

    versions: Sequence[tuple[str, str]]
    devices: dict[str, str | None] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """The identifier's value: another version of anything is another name. Its characters need no escaping anywhere."""
        return "_".join([_PRODUCT, *(_PLAIN.sub("-", which) for _, which in self.versions)])[:_LONGEST]


def device(scribe: Scribe) -> Json:
    """The Device, without an id."""
    return {
        "resourceType": "Device",
        "identifier": [{"system": DEVICE_SYSTEM, "value": scribe.name}],
        "status": "active",
        "manufacturer": _PRODUCT,
        "deviceName": [{"name": SCRIBE, "type": "user-friendly-name"}],
        "type": {"coding": [ARTIFICIAL_INTELLIGENCE], "text": "AI scribe"},
        "version": [{"type": {"text": what}, "value": which} for what, which in scribe.versions],
    }


def device_token(scribe: Scribe) -> str:
    """`system|value`, as searches and If-None-Exist take it."""
    return f"{DEVICE_SYSTEM}|{scribe.name}"
