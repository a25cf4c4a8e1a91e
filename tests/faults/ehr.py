"""The project's sandbox EHR in a process of its own, with faults (`faulty.py`), under `/fhir/R4`.

Resources are in SQLite, contents of Binaries in memory. `POST /_load` with
`{"first", "visits", "media", "status"}` puts Patient, Encounter, and `media` pairs of Media and Binary for each visit at
once (ids from `visit_name`), `POST /_finish ["storm-000001", …]` writes the finished version of Encounters; both answer
with `{"Encounter/…": …, "Media/…": …}` as the EHR holds them. `GET /_notes` lists every DocumentReference.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import func, insert, select

from adapters.database.database import Database
from adapters.database.sandbox_store import SqlSandboxStore, _digest, _now
from adapters.database.sandbox_tables import sandbox_resources, sandbox_tokens, sandbox_versions
from service.sandbox.answers import stamped
from service.sandbox.app import create_sandbox_app
from service.sandbox.context import Limits, Sandbox
from service.sandbox.intake import draft_of
from service.settings import read_settings
from tests.faults.asgi import App, Receive, Scope, Send, answer, body_of, serve
from tests.faults.faulty import Faulty
from tests.scratch import scratch_database

Json = dict[str, Any]
BASE = "/fhir/R4"


def visit_name(number: int) -> str:
    """The id of the visit's Encounter; its Patient is `p-…`, its recordings `…-1`, `…-2`."""
    return f"storm-{number:06d}"


def audio_of(media: str) -> bytes:
    """A recording for `ambient_stub.py`, in which the id of its Media is said."""
    return b"OggS" + f"this is recording {media} .".encode() + b"\n" + b"\0" * 3000


@dataclass(frozen=True, slots=True)
class Contents:
    """Implements `service.sandbox.ports.Blobs` in memory."""

    held: dict[str, bytes]

    async def write(self, key: str, chunks: AsyncIterator[bytes], limit: int) -> Any:
        self.held[key] = b"".join([chunk async for chunk in chunks])
        return _Size(len(self.held[key]))

    async def read(self, key: str) -> AsyncIterator[bytes]:
        if key not in self.held:
            raise FileNotFoundError(key)
        yield self.held[key]

    async def delete(self, key: str) -> None:
        self.held.pop(key, None)


@dataclass(frozen=True, slots=True)
class _Size:
    size: int


class Ehr:
    """The ASGI app: the sandbox below `BASE`, and the paths of this module's description."""

    def __init__(self, database: Database, base_url: str) -> None:
        self._database = database
        self._contents = Contents({})
        self._store = SqlSandboxStore(database)
        self._base_url = base_url
        self._sandbox: App = create_sandbox_app(self._store, self._contents, base_url)  # type: ignore[assignment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/_load":
                await answer(send, 200, await self._load(**orjson.loads(await body_of(receive))))
            case "/_finish":
                await answer(send, 200, await self._finish(orjson.loads(await body_of(receive))))
            case "/_notes":
                await answer(send, 200, await self._notes())
            case _:
                await self._sandbox({**scope, "root_path": BASE}, receive, send)

    async def _load(self, first: int, visits: int, media: int = 1, status: str = "in-progress") -> Json:
        every = [one for n in range(first, first + visits) for one in self._visit(visit_name(n), media, status)]
        told = {}
        async with self._database.transaction() as connection:
            last = (await connection.execute(select(func.max(sandbox_resources.c.number)))).scalar() or 0
            rows = [_rows(self._sandbox_of(), number, body) for number, body in enumerate(every, last + 1)]
            for table, written in zip(
                (sandbox_resources, sandbox_versions, sandbox_tokens), zip(*rows, strict=True), strict=True
            ):
                await connection.execute(insert(table), [row for some in written for row in some])
        for _, (version,), _ in rows:
            resource = orjson.loads(version["body"])
            if resource["resourceType"] in ("Encounter", "Media"):
                told[f"{resource['resourceType']}/{resource['id']}"] = resource
        return told

    def _visit(self, name: str, media: int, status: str) -> Iterator[Json]:
        """A Binary's content goes to `_contents` at once."""
        patient = {"reference": f"Patient/p-{name}"}
        yield {"resourceType": "Patient", "id": f"p-{name}", "active": True}
        yield _encounter(name, status)
        for number in range(1, media + 1):
            ident = f"{name}-{number}"
            self._contents.held[ident] = audio_of(ident)
            yield {"resourceType": "Binary", "id": ident, "contentType": "audio/ogg"}
            yield {
                "resourceType": "Media", "id": ident, "status": "completed", "subject": patient,
                "encounter": {"reference": f"Encounter/{name}"}, "createdDateTime": f"2026-01-05T09:0{number}:00Z",
                "content": {"contentType": "audio/ogg", "url": f"Binary/{ident}"},
            }  # fmt: skip

    async def _finish(self, names: list[str]) -> Json:
        sandbox, told = self._sandbox_of(), {}
        for name in names:
            written = await self._store.update(draft_of(sandbox, _encounter(name, "finished"), name), None)
            told[f"Encounter/{name}"] = orjson.loads(written.resource.body or "{}")
        return told

    async def _notes(self) -> list[Json]:
        """Identifier, status, patient, encounter, text, and what it replaces, of each."""
        page = await self._store.search("DocumentReference", [], 0, 1_000_000)
        notes = [orjson.loads(stored.body or "{}") for stored in page.resources]
        return [_note(note, await self._text(note["content"][0]["attachment"])) for note in notes]

    async def _text(self, attachment: Json) -> str:
        if "data" in attachment:
            return base64.b64decode(attachment["data"]).decode()
        binary = await self._store.read("Binary", attachment["url"].rpartition("/")[2])
        assert binary, "a note without its content"
        return self._contents.held[binary.blob or ""].decode()

    def _sandbox_of(self) -> Sandbox:
        return Sandbox(self._store, self._contents, self._base_url, Limits())


def _encounter(name: str, status: str) -> Json:
    return {
        "resourceType": "Encounter", "id": name, "status": status, "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/p-{name}"}, "period": {"start": "2026-01-05T09:00:00Z"},
    }  # fmt: skip


def _rows(sandbox: Sandbox, number: int, body: Json) -> tuple[list[Json], list[Json], list[Json]]:
    """Of the first version of a resource: its rows in `sandbox_resources`, `_versions` and `_tokens`."""
    kind, ident, now = body["resourceType"], body["id"], _now()
    draft = draft_of(sandbox, body, ident)
    content = {"blob": ident, "size": len(audio_of(ident))} if kind == "Binary" else {"blob": None, "size": None}
    resource = {"number": number, "type": kind, "id": ident, "version": 1, "deleted": False}
    version = {"number": number, "version": 1, "last_updated": now, "body": stamped(body, ident, 1, now)}
    tokens = [{"number": number, "digest": _digest(kind, token)} for token in draft.tokens]
    return [resource], [{**version, **content}], tokens


def _note(resource: Json, text: str) -> Json:
    return {
        "id": resource["id"],
        "identifier": resource["identifier"][0]["value"],
        "status": resource["status"],
        "patient": resource["subject"]["reference"],
        "encounter": resource["context"]["encounter"][0]["reference"],
        "text": text,
        "replaces": [related["target"]["reference"] for related in resource.get("relatesTo", ())],
    }


def run_ehr(port: int, base_url: str, folder: Path) -> None:
    """`base_url` is where clients reach it: a proxy, perhaps. The database is in `folder`."""
    settings = read_settings(database={"url": scratch_database(folder)}).database

    @asynccontextmanager
    async def opened() -> AsyncIterator[App]:
        async with Database.connect(settings) as database:
            yield Faulty(Ehr(database, base_url))

    serve(opened(), port)
