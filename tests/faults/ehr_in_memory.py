"""An EHR in memory, fast enough to be nobody's bottleneck, with faults (`faulty.py`), under `/fhir/R4`.

Visit `storm-000001` and the like are there without being loaded: Patient, finished Encounter, one Media with its Binary.
DocumentReferences can be created conditionally, searched by identifier and changed. `GET /_arrivals` gives every request
that was served as [seconds since the start, requests under way], `GET /_notes` the Encounter of each note.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import nullcontext
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from tests.faults.asgi import Receive, Scope, Send, answer, body_of, serve
from tests.faults.ehr import BASE, audio_of
from tests.faults.faulty import Faulty

Json = dict[str, Any]
LATENCY = 0.01
METADATA = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [{"mode": "server", "resource": [{"type": "DocumentReference", "conditionalCreate": True, "interaction": [{"code": "update"}], "searchParam": [{"name": "identifier"}]}]}],
}  # fmt: skip
_KNOWN = re.compile(r"(Patient|Encounter|Media|Binary)/(?:p-)?(storm-\d{6})(?:-1)?")


def visit_of(name: str) -> tuple[Json, Json]:
    """Encounter and Media of a visit, as the EHR has them."""
    patient, meta = {"reference": f"Patient/p-{name}"}, {"versionId": "1", "lastUpdated": "2026-01-05T09:30:00Z"}
    return {
        "resourceType": "Encounter", "id": name, "meta": meta, "status": "finished", "class": {"code": "AMB"}, "subject": patient,
        "period": {"start": "2026-01-05T09:00:00Z"},
    }, {
        "resourceType": "Media", "id": f"{name}-1", "meta": meta, "status": "completed", "subject": patient,
        "encounter": {"reference": f"Encounter/{name}"}, "createdDateTime": "2026-01-05T09:01:00Z",
        "content": {"contentType": "audio/ogg", "url": f"Binary/{name}-1"},
    }  # fmt: skip


class EhrInMemory:
    """The ASGI app."""

    def __init__(self) -> None:
        self._notes: dict[str, Json] = {}
        self._of_identifier: dict[str, list[str]] = {}
        self._began = time.monotonic()
        self._arrivals: list[tuple[float, int]] = []
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/_arrivals":
                await answer(send, 200, self._arrivals)
            case "/_notes":
                await answer(send, 200, [n["context"]["encounter"][0]["reference"] for n in self._notes.values()])
            case path:
                await self._serve(scope, path.removeprefix(f"{BASE}/"), receive, send)

    async def _serve(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        self._under_way += 1
        self._arrivals.append((round(time.monotonic() - self._began, 4), self._under_way))
        try:
            body = await body_of(receive)
            await asyncio.sleep(LATENCY)
            await self._answer(scope, path, body, send)
        finally:
            self._under_way -= 1

    async def _answer(self, scope: Scope, path: str, body: bytes, send: Send) -> None:
        known = _KNOWN.fullmatch(path)
        match scope["method"], path:
            case "GET", "metadata":
                await answer(send, 200, METADATA)
            case "GET", "DocumentReference":
                await answer(send, 200, self._search(parse_qs(scope["query_string"].decode())["identifier"][0]))
            case "POST", "DocumentReference":
                wanted = dict(scope["headers"])[b"if-none-exist"].decode().removeprefix("identifier=")
                status, note = await self._create(unquote(wanted), orjson.loads(body), scope.get("insert_after", 0))
                await answer(send, status, note)
            case "GET", _ if known:
                await _give(send, *known.groups())
            case "GET", _ if path in self._notes:
                await answer(send, 200, self._notes[path])
            case "PUT", _ if path in self._notes:
                self._notes[path] = orjson.loads(body)
                await answer(send, 200, self._notes[path])
            case _:
                await answer(send, 404)

    def _search(self, identifier: str) -> Json:
        found = [{"resource": self._notes[reference]} for reference in self._of_identifier.get(identifier, ())]
        return {"resourceType": "Bundle", "type": "searchset", "entry": found}

    async def _create(self, identifier: str, note: Json, insert_after: float) -> tuple[int, Json]:
        if held := self._of_identifier.get(identifier):
            return (200, self._notes[held[0]]) if len(held) == 1 else (412, {})
        if insert_after:
            await asyncio.sleep(insert_after)
        note |= {"id": f"d{len(self._notes)}", "meta": {"versionId": "1"}}
        reference = f"DocumentReference/{note['id']}"
        self._notes[reference] = note
        self._of_identifier.setdefault(identifier, []).append(reference)
        return 201, note


async def _give(send: Send, kind: str, name: str) -> None:
    encounter, media = visit_of(name)
    match kind:
        case "Binary":
            content = audio_of(media["id"])
            told = [(b"content-type", b"audio/ogg"), (b"content-length", str(len(content)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": told})
            await send({"type": "http.response.body", "body": content})
        case "Patient":
            await answer(send, 200, {"resourceType": "Patient", "id": f"p-{name}", "active": True})
        case _:
            await answer(send, 200, encounter if kind == "Encounter" else media)


def run_ehr_in_memory(port: int) -> None:
    serve(nullcontext(Faulty(EhrInMemory())), port)
