"""The FHIR resources of a demonstration visit. Ids come from the audio's hash: the same recording is the same visit."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DemoVisit:
    """`loaded` go into the EHR in this order; `announced` are published as events."""

    encounter_id: str
    loaded: Sequence[Json]
    announced: Sequence[Json]


def demo_visit(recordings: Sequence[Path]) -> DemoVisit:
    audio = [path.read_bytes() for path in recordings]
    ident = "demo-" + hashlib.sha256(b"".join(audio)).hexdigest()[:16]
    patient, practitioner = _patient(), _practitioner()
    encounter = _encounter(ident)
    binaries = [
        _binary(ident, number, path, data) for number, (path, data) in enumerate(zip(recordings, audio, strict=True))
    ]
    media = [
        _media(ident, number, binary, len(data))
        for number, (binary, data) in enumerate(zip(binaries, audio, strict=True))
    ]
    return DemoVisit(ident, [patient, practitioner, encounter, *binaries, *media], [*media, encounter])


def _patient() -> Json:
    return {
        "resourceType": "Patient",
        "id": "demo-patient",
        "active": True,
        "name": [{"family": "Demo", "given": ["Patient"]}],
    }


def _practitioner() -> Json:
    return {
        "resourceType": "Practitioner",
        "id": "demo-practitioner",
        "name": [{"family": "Demo", "given": ["Practitioner"]}],
    }


def _encounter(ident: str) -> Json:
    performer = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "PPRF"}
    return {
        "resourceType": "Encounter",
        "id": ident,
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": "Patient/demo-patient"},
        "participant": [
            {"type": [{"coding": [performer]}], "individual": {"reference": "Practitioner/demo-practitioner"}}
        ],
        "period": {"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T09:15:00Z"},
    }


def _binary(ident: str, number: int, path: Path, data: bytes) -> Json:
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return {
        "resourceType": "Binary",
        "id": f"{ident}-{number}",
        "contentType": content_type,
        "data": base64.b64encode(data).decode(),
    }


def _media(ident: str, number: int, binary: Json, size: int) -> Json:
    return {
        "resourceType": "Media",
        "id": f"{ident}-{number}",
        "status": "completed",
        "subject": {"reference": "Patient/demo-patient"},
        "encounter": {"reference": f"Encounter/{ident}"},
        "createdDateTime": f"2026-01-05T09:{number:02d}:00Z",
        "content": {"contentType": binary["contentType"], "url": f"Binary/{binary['id']}", "size": size},
    }
