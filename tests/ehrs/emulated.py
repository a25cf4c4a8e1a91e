"""What all emulated EHRs have in common: a chart, notes in memory with their versions, reading, searching, `/metadata`.

Each is an ASGI app under `/fhir/R4`. A request is answered at once and whole, so nothing comes between a look and what
follows from it. What differs from EHR to EHR is in the class of each.
"""

from __future__ import annotations

import base64
import time
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

from service.fhir.elements import element
from tests.ehrs.chart import served
from tests.ehrs.notes import now
from tests.ehrs.searching import CONTROLS, PARAMETERS, is_found
from tests.ehrs.wire import BASE, FHIR_JSON, Asked, Json, Refused, Told
from tests.faults.asgi import Receive, Scope, Send, body_of

_PAGE = 20


@dataclass(frozen=True, slots=True)
class Held:
    """A note: its versions, oldest first, and since when (monotonic seconds) searches find it."""

    versions: list[Json]
    searchable: float


class EmulatedEhr:
    """`index_lag`: seconds until a search finds what was created. `base_url` is told by whoever serves it."""

    searches_by: ClassVar[frozenset[str]] = PARAMETERS
    """What a search of DocumentReferences knows."""
    refuses_unknown_parameters: ClassVar[bool] = True
    """Else they are ignored, and the link `self` leaves them out (FHIR R4 §3.1.1.1.3)."""
    gives_data: ClassVar[bool] = True
    """Else an attachment that was sent inline is given back as the URL of a Binary."""
    interactions: ClassVar[tuple[str, ...]] = ("read", "search-type")
    system_interactions: ClassVar[tuple[str, ...]] = ()
    creates_conditionally: ClassVar[bool] = False

    def __init__(self, index_lag: float = 0.0) -> None:
        self.index_lag = index_lag
        self.base_url = f"http://ehr.test{BASE}"
        self.notes: dict[str, Held] = {}
        self.binaries: dict[str, tuple[str, bytes]] = {}
        """Content type and bytes by id."""
        self.asked: Counter[str] = Counter()
        """Requests by method and type."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked.of(scope, await body_of(receive))
        self.asked[f"{asked.method} {asked.path.partition('/')[0]}".strip()] += 1
        try:
            told = self.answer(asked)
        except Refused as refused:
            told = refused.told()
        await told.send(send)

    def answer(self, asked: Asked) -> Told:
        match asked.method, asked.path.split("/"):
            case "GET", ["metadata"]:
                return Told(200, self.statement())
            case "GET", ["DocumentReference"]:
                return Told(200, self._search(asked))
            case "GET", [kind, ident]:
                return self._read(asked, kind, ident)
            case "POST", ["DocumentReference"]:
                return self.create(asked)
            case "POST", [""]:
                return self.transact(asked)
            case "PUT", ["DocumentReference", ident] if ident in self.notes:
                return self.update(asked, ident)
        raise Refused(404, "not-found")

    def create(self, asked: Asked) -> Told:
        raise Refused(405, "not-supported")

    def update(self, asked: Asked, ident: str) -> Told:
        raise Refused(405, "not-supported")

    def transact(self, asked: Asked) -> Told:
        raise Refused(405, "not-supported")

    def standing(self) -> dict[str, list[str]]:
        """The ids of the notes that stand as current, by the reference of their Encounter."""
        found: dict[str, list[str]] = {}
        for ident, held in self.notes.items():
            if held.versions[-1]["status"] == "current":
                found.setdefault(element(held.versions[-1], "context", "encounter", 0, "reference"), []).append(ident)
        return found

    def keep(self, note: Json) -> Json:
        """The note's first version, under an id of this EHR."""
        ident = f"n{len(self.notes) + 1}"
        self.notes[ident] = Held([], time.monotonic() + self.index_lag)
        return self.keep_version(ident, note)

    def keep_version(self, ident: str, note: Json) -> Json:
        versions = self.notes[ident].versions
        meta = {**note.get("meta", {}), "versionId": str(len(versions) + 1), "lastUpdated": now()}
        versions.append({**note, "id": ident, "meta": meta})
        return versions[-1]

    def text_of(self, ident: str) -> str:
        """What the note says."""
        attachment = self.notes[ident].versions[-1]["content"][0]["attachment"]
        if "data" in attachment:
            return base64.b64decode(attachment["data"]).decode()
        return self.binaries[attachment["url"].rpartition("/")[2]][1].decode()

    def statement(self) -> Json:
        notes = {
            "type": "DocumentReference",
            "interaction": [{"code": code} for code in self.interactions],
            "searchParam": [{"name": name, "type": "token"} for name in sorted(self.searches_by)],
            "conditionalCreate": self.creates_conditionally,
        }
        read = [{"type": kind, "interaction": [{"code": "read"}]} for kind in ("Patient", "Encounter", "Media", "Binary")]  # fmt: skip
        rest = {
            "mode": "server",
            "resource": [notes, *read],
            "interaction": [{"code": code} for code in self.system_interactions],
        }
        return {
            "resourceType": "CapabilityStatement", "status": "active", "date": "2026-01-05", "kind": "instance",
            "fhirVersion": "4.0.1", "format": [FHIR_JSON], "rest": [rest],
        }  # fmt: skip

    def shown(self, note: Json) -> Json:
        """As reads and searches give it."""
        if self.gives_data:
            return note
        content = [self._outlined(note["id"], n, one) for n, one in enumerate(note["content"])]
        return {**note, "content": content}

    def _outlined(self, ident: str, number: int, content: Json) -> Json:
        attachment = dict(content["attachment"])
        if "data" in attachment:
            binary = f"{ident}-{number}"
            self.binaries[binary] = (attachment["contentType"], base64.b64decode(attachment.pop("data")))
            attachment["url"] = f"{self.base_url}/Binary/{binary}"
        return {**content, "attachment": attachment}

    def _read(self, asked: Asked, kind: str, ident: str) -> Told:
        if kind == "DocumentReference" and ident in self.notes:
            note = self.shown(self.notes[ident].versions[-1])
            return Told(200, note, {"ETag": f'W/"{note["meta"]["versionId"]}"'})
        if kind == "Binary" and ident in self.binaries:
            return self._binary(asked, ident)
        return served(asked, kind, ident)

    def _binary(self, asked: Asked, ident: str) -> Told:
        """As a resource to whoever accepts nothing else, else as it is (FHIR R4 §3.1.0.1.9)."""
        content_type, content = self.binaries[ident]
        if FHIR_JSON not in asked.headers.get("accept", ""):
            return Told(200, content, {"content-type": content_type})
        data = base64.b64encode(content).decode()
        return Told(200, {"resourceType": "Binary", "id": ident, "contentType": content_type, "data": data})

    def _search(self, asked: Asked) -> Json:
        known = [(name, value) for name, value in asked.query if name in self.searches_by]
        unknown = {name for name, _ in asked.query} - self.searches_by - CONTROLS
        if unknown and (self.refuses_unknown_parameters or "handling=strict" in asked.headers.get("prefer", "")):
            raise Refused(400, "not-supported")
        every = [held.versions[-1] for held in self.notes.values() if held.searchable <= time.monotonic()]
        found = [note for note in every if all(is_found(note, *wanted) for wanted in known)]
        return self._page(dict(asked.query), known, [self.shown(note) for note in found])

    def _page(self, query: dict[str, str], known: list[tuple[str, str]], found: list[Json]) -> Json:
        size, number = int(query.get("_count", _PAGE)), int(query.get("_page", 1))
        link = [{"relation": "self", "url": self._searched(known)}]
        if len(found) > size * number:
            more = [("_count", str(size)), ("_page", str(number + 1))]
            link.append({"relation": "next", "url": self._searched(known + more)})
        entries = [
            {"fullUrl": f"{self.base_url}/DocumentReference/{note['id']}", "resource": note, "search": {"mode": "match"}}
            for note in found[size * (number - 1) : size * number]
        ]  # fmt: skip
        bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": link}
        return {**bundle, "entry": entries} if entries else bundle

    def _searched(self, query: list[tuple[str, str]]) -> str:
        return f"{self.base_url}/DocumentReference?{urlencode(query)}"
