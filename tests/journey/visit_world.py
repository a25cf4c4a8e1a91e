"""An EHR and an ambient engine at port level, whose calls fail, lose their answer, or see the process die, when told to."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from service.errors import Retryable
from service.fhir.capability_statement import Capabilities
from service.fhir.device import Scribe
from service.workflow.ports import (
    Absent,
    AnswerLost,
    Audio,
    Changed,
    Document,
    Filed,
    NoteSection,
    Recording,
    Transcript,
)

Json = dict[str, Any]
BASE = "https://ehr.test/fhir/R4"


class Crash(BaseException):
    """The process dies here: nothing after it is done."""


@dataclass
class Fault:
    """What happens at the `at`th call from now on: `kind` is `fails`, `loses`, `dies before` or `dies after`."""

    at: int
    kind: str


class Faults:
    """Between the workflow and whatever it calls."""

    def __init__(self) -> None:
        self.armed: Fault | None = None

    async def call(self, name: str, do: Callable[[], Awaitable[Any]], *, writes: bool = False) -> Any:
        fault = self._due()
        if fault == "dies before":
            raise Crash(name)
        if fault == "fails":
            raise Retryable("fault", name)
        answer = await do()
        if fault == "dies after":
            raise Crash(name)
        if fault == "loses":
            raise AnswerLost(name) if writes else Retryable("fault", name)
        return answer

    def _due(self) -> str | None:
        if self.armed is None:
            return None
        self.armed.at -= 1
        if self.armed.at > 0:
            return None
        kind, self.armed = self.armed.kind, None
        return kind


class FaultyVisits:
    """The real store; a process may die, or the database be away, at any of its writes."""

    def __init__(self, visits: Any, faults: Faults) -> None:
        self._visits, self._faults = visits, faults

    def __getattr__(self, name: str) -> Any:
        plain = getattr(self._visits, name)
        if name not in ("save", "settle", "note_fact", "forget", "is_overtaken"):
            return plain

        async def call(*args: Any, **options: Any) -> Any:
            if name == "settle" and self._faults.armed and self._faults.armed.kind in ("fails", "loses"):
                return await plain(*args, **options)  # it would only be tried again half a second later
            return await self._faults.call(name, lambda: plain(*args, **options))

        return call


@dataclass
class Chart:
    """The EHR. `versions` holds every version of each resource, None for a deletion; the last one is the truth."""

    faults: Faults
    versions: dict[str, list[Json | None]] = field(default_factory=dict)
    wrongs: list[str] = field(default_factory=list)
    """What was filed although the EHR, asked right before, would have said that it must not be."""
    base_url: str = BASE
    name: str = BASE

    def put(self, reference: str, resource: Json | None) -> None:
        kind, ident = reference.split("/")
        known = self.versions.setdefault(reference, [])
        stamp = f"2026-01-05T09:{len(known) // 60:02}:{len(known) % 60:02}Z"
        named = {"resourceType": kind, "id": ident, "meta": {"versionId": str(len(known) + 1), "lastUpdated": stamp}}
        known.append(None if resource is None else {**resource, **named})

    def now(self, reference: str) -> Json | None:
        return (self.versions.get(reference) or [None])[-1]

    def every(self, kind: str) -> list[Json]:
        return [
            last for name, versions in self.versions.items() if name.startswith(kind + "/") and (last := versions[-1])
        ]

    async def read(self, reference: str) -> Json:
        async def do() -> Json:
            if found := self.now(reference):
                return found
            raise Absent(reference, gone=reference in self.versions)

        return await self.faults.call("read", do)  # type: ignore[no-any-return]

    async def find(self, resource_type: str, identifier: str) -> list[Json]:
        async def do() -> list[Json]:
            return [one for one in self.every(resource_type) if identifier in _identifiers(one)]

        return await self.faults.call("find", do)  # type: ignore[no-any-return]

    async def capabilities(self, *, afresh: bool = False) -> Capabilities:
        note = {
            "type": "DocumentReference",
            "conditionalCreate": True,
            "interaction": [{"code": "update"}],
            "searchParam": [{"name": "identifier"}],
        }
        return Capabilities({"rest": [{"mode": "server", "resource": [note]}]})

    async def search(self, resource_type: str, parameters: Mapping[str, str]) -> list[Json]:
        async def do() -> list[Json]:
            return [one for one in self.every(resource_type) if one["subject"]["reference"] == parameters["patient"]]

        return await self.faults.call("search", do)  # type: ignore[no-any-return]

    async def create_once(self, resource: Mapping[str, Any], identifier: str) -> Filed:
        async def do() -> Filed:
            for known in self.every("DocumentReference"):
                if identifier in _identifiers(known):
                    return Filed(f"DocumentReference/{known['id']}", known["meta"]["versionId"], created=False)
            self._judge(resource)
            reference = f"DocumentReference/d{len(self.every('DocumentReference')) + 1}"
            self.put(reference, dict(resource))
            return Filed(reference, "1", created=True)

        return await self.faults.call("create_once", do, writes=True)  # type: ignore[no-any-return]

    async def update(self, resource: Mapping[str, Any], version: str | None) -> Filed:
        async def do() -> Filed:
            reference = f"{resource['resourceType']}/{resource['id']}"
            known = self.now(reference)
            if known is None:
                raise Absent(reference)
            if version and known["meta"]["versionId"] != version:
                raise Changed
            self.put(reference, dict(resource))
            return Filed(reference, str(len(self.versions[reference])), created=False)

        return await self.faults.call("update", do, writes=True)  # type: ignore[no-any-return]

    @asynccontextmanager
    async def open_audio(self, attachment: Mapping[str, Any]) -> AsyncIterator[Audio]:
        async def do() -> bytes:
            return str(attachment["url"]).encode()

        content = await self.faults.call("open_audio", do)

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        yield Audio(chunks(), "audio/ogg")

    def _judge(self, note: Mapping[str, Any]) -> None:
        """By the truth at this moment, which is what the workflow has just read."""
        encounter = self.now(note["context"]["encounter"][0]["reference"])
        media = [self.now(one["reference"]) for one in note["context"]["related"]]
        patient = note["subject"]
        if encounter is None or encounter["status"] != "finished" or encounter["subject"] != patient:
            self.wrongs.append(f"filed for {patient} while the Encounter is {encounter}")
        for one in media:
            if one is None or one["status"] != "completed" or one["subject"] != patient:
                self.wrongs.append(f"filed for {patient} while its recording is {one}")
            elif one["encounter"]["reference"] != f"Encounter/{encounter and encounter['id']}":
                self.wrongs.append(f"filed while its recording belongs to {one['encounter']}")
        if said(note) != [one["content"]["url"] for one in media if one]:
            self.wrongs.append(f"says {said(note)} while its recordings are {media}")


def said(note: Mapping[str, Any]) -> list[str]:
    """Which audio a note was drafted from."""
    text = base64.b64decode(note["content"][0]["attachment"]["data"]).decode()
    return [word for word in text.split() if word.startswith("Binary/")]


def _identifiers(resource: Mapping[str, Any]) -> list[str]:
    return [f"{one['system']}|{one['value']}" for one in resource.get("identifier", [])]


@dataclass
class Interaction:
    identifier: str
    patient: str
    recordings: dict[str, str] = field(default_factory=dict)
    transcripts: dict[str, str] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)


@dataclass
class Engine:
    """Without idempotency keys. `busy`: how often it says yet that a transcript is in the making."""

    faults: Faults
    interactions: dict[str, Interaction] = field(default_factory=dict)
    busy: int = 0
    finished: set[str] = field(default_factory=set)
    made: int = 0
    scribe: Scribe = field(default_factory=lambda: Scribe([("software", "test")]))

    def _next(self, kind: str) -> str:
        self.made += 1
        return f"{kind}{self.made}"

    def twice(self) -> list[Any]:
        """What is there more than once, though looking would have found the first: it cost money, or is an orphan."""
        made: list[Any] = [(one.identifier, one.patient) for one in self.interactions.values()]
        for one in self.interactions.values():
            made += [
                *one.transcripts.values(),
                *((one.identifier, document.name) for document in one.documents.values()),
            ]
        return [what for what, count in Counter(made).items() if count > 1]

    async def create_interaction(self, *, identifier: str, patient: str, **_: Any) -> str:
        async def do() -> str:
            ident = self._next("i")
            self.interactions[ident] = Interaction(identifier, patient)
            return ident

        return await self.faults.call("create_interaction", do)  # type: ignore[no-any-return]

    async def find_interactions(self, *, identifier: str, patient: str) -> list[str]:
        async def do() -> list[str]:
            wanted = (identifier, patient)
            return [ident for ident, one in self.interactions.items() if (one.identifier, one.patient) == wanted]

        return await self.faults.call("find_interactions", do)  # type: ignore[no-any-return]

    async def find_interaction(self, *, identifier: str, patient: str) -> str | None:
        return next(iter(await self.find_interactions(identifier=identifier, patient=patient)), None)

    async def upload_recording(self, interaction: str, audio: AsyncIterator[bytes], _: str | None) -> Recording:
        async def do() -> Recording:
            ident = self._next("r")
            self.interactions[interaction].recordings[ident] = b"".join([chunk async for chunk in audio]).decode()
            return Recording(ident)

        return await self.faults.call("upload_recording", do)  # type: ignore[no-any-return]

    async def list_recordings(self, interaction: str) -> list[str]:
        return list(self.interactions[interaction].recordings)

    async def delete_recording(self, interaction: str, recording: str) -> None:
        async def do() -> None:
            self.interactions[interaction].recordings.pop(recording)

        await self.faults.call("delete_recording", do)

    async def create_transcript(self, interaction: str, recording: str, **_: Any) -> Transcript:
        async def do() -> Transcript:
            ident = self._next("t")
            self.interactions[interaction].transcripts[ident] = recording
            return Transcript(ident, recording, "processing")

        return await self.faults.call("create_transcript", do)  # type: ignore[no-any-return]

    async def find_transcript(self, interaction: str, recording: str) -> Transcript | None:
        async def do() -> Transcript | None:
            known = self.interactions[interaction].transcripts.items()
            return next((Transcript(ident, of, "processing") for ident, of in known if of == recording), None)

        return await self.faults.call("find_transcript", do)  # type: ignore[no-any-return]

    async def get_transcript(self, interaction: str, transcript: str) -> Transcript | None:
        async def do() -> Transcript:
            of = self.interactions[interaction].transcripts[transcript]
            if self.busy and transcript not in self.finished:
                self.busy -= 1
                return Transcript(transcript, of, "processing")
            self.finished.add(transcript)
            text = self.interactions[interaction].recordings[of]
            return Transcript(transcript, of, "completed", [{"id": "s1", "text": text, "start": 0, "end": 1}])

        return await self.faults.call("get_transcript", do)  # type: ignore[no-any-return]

    async def create_document(
        self, interaction: str, *, template: str, name: str, language: str, segments: Sequence[Mapping[str, Any]]
    ) -> Document:
        async def do() -> Document:
            sections = [NoteSection("all", "All", " ".join(str(one["text"]) for one in segments))]
            self.interactions[interaction].documents[self._next("d")] = made = Document(
                name, name, template, language, sections
            )
            return made

        return await self.faults.call("create_document", do)  # type: ignore[no-any-return]

    async def find_document(self, interaction: str, name: str) -> Document | None:
        async def do() -> Document | None:
            return next((one for one in self.interactions[interaction].documents.values() if one.name == name), None)

        return await self.faults.call("find_document", do)  # type: ignore[no-any-return]
