"""An ambient API like the vendor's cloud, in memory: no idempotency keys, duplicates are taken without a word.

Transcripts are asynchronous: `completed` some time after they were asked for. What is said in a recording is the first
line of its bytes after `OggS`, so that a note tells which recordings it was made of. Deleting an interaction deletes all
it has. Faults: see `faulty.py`. `POST /_delay [LEAST, MOST]` sets how many seconds a transcript takes, `GET /_census`
tells what exists: counts, and for each `encounter.identifier` its interactions with the ids in them.
"""

from __future__ import annotations

import random
import re
import time
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson

from tests.faults.asgi import Receive, Scope, Send, answer, body_of, serve
from tests.faults.faulty import Faulty

Json = dict[str, Any]
PARTS = ("recordings", "transcripts", "documents")
_PATH = re.compile(r"/v2/interactions/(?P<id>[^/]+)(?:/(?P<what>recordings|transcripts|documents)/(?P<item>[^/]*))?/?")


@dataclass(slots=True)
class Interaction:
    """`recordings` hold what is said, `transcripts` when they are ready (monotonic seconds) and their recording."""

    id: str
    encounter: Json
    patient: Json
    created_at: str
    recordings: dict[str, str] = field(default_factory=dict)
    transcripts: dict[str, tuple[float, str]] = field(default_factory=dict)
    documents: dict[str, Json] = field(default_factory=dict)

    def shown(self) -> Json:
        moments = dict.fromkeys(("createdAt", "updatedAt", "lastUpdated"), self.created_at)
        period = {"startedAt": self.created_at}
        return {"id": self.id, "encounter": {"period": period, **self.encounter}, "patient": self.patient, **moments}

    def parts(self) -> dict[str, list[str]]:
        return {kind: list(getattr(self, kind)) for kind in PARTS}


class Refused(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class AmbientStub:
    """The ASGI app. Its routes are the ones that `adapters/ambient/client.py` uses."""

    def __init__(self) -> None:
        self._interactions: dict[str, Interaction] = {}
        self._of_patient: dict[str, dict[str, Interaction]] = {}
        self._delay = (0.5, 1.5)
        self._chance = random.Random(2)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await body_of(receive)
        except ConnectionError:
            return  # half an upload leaves nothing behind
        try:
            status, content = self._answer(scope["method"], scope["path"], scope["query_string"], body)
        except Refused as refused:
            status = refused.status
            content = {"requestid": str(uuid.uuid4()), "status": status, "type": "about:blank", "detail": "refused"}
        await answer(send, status, content)

    def _answer(self, method: str, path: str, query: bytes, body: bytes) -> tuple[int, Any]:
        match method, path.rstrip("/"):
            case "GET", "/_census":
                return 200, self.census()
            case "POST", "/_delay":
                self._delay = tuple(orjson.loads(body))
                return 200, self._delay
            case "GET", "/v2/templates":
                return 200, {"data": [{"key": "corti-soap"}, {"key": "corti-patient-summary"}]}
            case "POST", "/v2/interactions":
                return 201, self._begin(orjson.loads(body))
            case "GET", "/v2/interactions":
                return 200, self._page({name: values[0] for name, values in parse_qs(query.decode()).items()})
        named = _PATH.fullmatch(path)
        if named is None:
            raise Refused(404)
        interaction = self._interactions.get(named["id"])
        if interaction is None:
            raise Refused(404)
        if named["what"] is None:
            return self._whole(method, interaction)
        return _part(self, method, interaction, named["what"], named["item"], body)

    def _begin(self, body: Json) -> Json:
        patient = body.get("patient") or {"identifier": ""}
        begun = Interaction(str(uuid.uuid4()), body["encounter"], patient, _now())
        self._interactions[begun.id] = begun
        self._of_patient.setdefault(patient["identifier"], {})[begun.id] = begun
        return {"interactionId": begun.id, "websocketUrl": f"ws://127.0.0.1/{begun.id}"}

    def _page(self, query: dict[str, str]) -> Json:
        """Pages are numbered from 1; past the end they are empty."""
        every = self._of_patient.get(query["patient"], {}) if "patient" in query else self._interactions
        found = list(every.values()) if query.get("direction") == "asc" else list(reversed(every.values()))
        size, index = int(query.get("pageSize", 10)), int(query.get("index", 1))
        return {"interactions": [one.shown() for one in found[size * (index - 1) : size * index]]}

    def _whole(self, method: str, interaction: Interaction) -> tuple[int, Any]:
        if method == "GET":
            return 200, interaction.shown()
        if method != "DELETE":
            raise Refused(405)
        del self._interactions[interaction.id]
        del self._of_patient[interaction.patient["identifier"]][interaction.id]
        return 204, None

    def ready_at(self) -> float:
        return time.monotonic() + self._chance.uniform(*self._delay)

    def census(self) -> Json:
        encounters: dict[str, list[Json]] = {}
        for one in self._interactions.values():
            encounters.setdefault(one.encounter["identifier"], []).append({"id": one.id, **one.parts()})
        every = [one for held in encounters.values() for one in held]
        totals = {"interactions": len(every), **{kind: sum(len(one[kind]) for one in every) for kind in PARTS}}
        return {"totals": totals, "encounters": encounters}


def _part(
    stub: AmbientStub, method: str, interaction: Interaction, what: str, item: str, body: bytes
) -> tuple[int, Any]:
    held = getattr(interaction, what)
    match method:
        case "POST":
            return _CREATE[what](stub, interaction, body)
        case "GET" if not item:
            return 200, _LIST[what](interaction)
        case "GET":
            if item not in held or what == "recordings":
                raise Refused(404)
            return 200, _transcript(interaction, item) if what == "transcripts" else held[item]
        case "DELETE":
            if held.pop(item, None) is None and what != "recordings":  # deleting an unknown recording succeeds
                raise Refused(404)
            return 204, None
    raise Refused(405)


def _upload(stub: AmbientStub, interaction: Interaction, body: bytes) -> tuple[int, Json]:
    if not body.startswith(b"OggS"):
        raise Refused(400)
    recording = str(uuid.uuid4())
    interaction.recordings[recording] = body[4:].partition(b"\n")[0].decode()
    return 201, {"recordingId": recording}


def _transcribe(stub: AmbientStub, interaction: Interaction, body: bytes) -> tuple[int, Json]:
    recording = orjson.loads(body)["recordingId"]
    if recording not in interaction.recordings:
        raise Refused(404)
    transcript = str(uuid.uuid4())
    interaction.transcripts[transcript] = (stub.ready_at(), recording)
    return 202, _transcript(interaction, transcript)


def _transcript(interaction: Interaction, ident: str) -> Json:
    ready_at, recording = interaction.transcripts[ident]
    done = time.monotonic() >= ready_at
    said = interaction.recordings.get(recording, "the recording is gone")
    segment = {"channel": 0, "participant": 0, "speakerId": 0, "text": said, "start": 0, "end": 900}
    return {
        "id": ident, "recordingId": recording, "status": "completed" if done else "processing",
        "metadata": {"participantsRoles": None}, "transcripts": [segment] if done else None, "usageInfo": {"creditsConsumed": 0},
    }  # fmt: skip


def _draft(stub: AmbientStub, interaction: Interaction, body: bytes) -> tuple[int, Json]:
    asked, now = orjson.loads(body), _now()
    if not asked["context"]:
        raise Refused(400)
    text = " ".join(item["data"]["text"] for item in asked["context"])
    section = {"key": "subjective", "name": "Subjective", "text": text, "sort": 1, "createdAt": now, "updatedAt": now}
    document = {
        "id": str(uuid.uuid4()), "name": asked.get("name") or "untitled", "templateRef": asked["templateKey"], "isStream": False,
        "sections": [section], "createdAt": now, "updatedAt": now, "outputLanguage": asked["outputLanguage"],
        "usageInfo": {"creditsConsumed": 0},
    }  # fmt: skip
    interaction.documents[document["id"]] = document
    return 201, document


_CREATE = {"recordings": _upload, "transcripts": _transcribe, "documents": _draft}
_LIST = {
    "recordings": lambda one: {"recordings": list(one.recordings)},
    "transcripts": lambda one: {"transcripts": [{"id": t, "transcriptSample": ""} for t in one.transcripts] or None},
    "documents": lambda one: {"data": list(one.documents.values())},
}


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def run_ambient_stub(port: int) -> None:
    serve(nullcontext(Faulty(AmbientStub())), port)
