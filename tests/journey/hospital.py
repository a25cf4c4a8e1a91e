"""A hospital in one process: the whole house on SQLite, its sandbox EHR, and audio that says what the test wrote into it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import REGISTRY

from service.ambient.ports import AudioFacts, Segment, SpeechRequest
from service.errors import BadAudio
from service.main import House, open_house
from service.settings import Settings, read_settings
from tests.scratch import scratch_database

Json = dict[str, Any]
COUGH = (("doctor", "What brings you in today?"), ("patient", "I have had a cough for ten days."), ("doctor", "I will start you on amoxicillin, 500 milligrams."))  # fmt: skip


def audio(*turns: tuple[str, str]) -> bytes:
    """A recording of these turns, one second each."""
    return b"OggS" + json.dumps(turns).encode()


class WrittenAudio:
    """A Transcriber that reads what `audio` wrote."""

    def supports(self, language: str) -> bool:
        return language.startswith("en")

    def probe(self, file: Path, longest: float) -> AudioFacts:
        return AudioFacts(2, 1000 * len(self._turns(file)))

    def transcribe(
        self, file: Path, request: SpeechRequest, progress: Callable[[float], None], cancelled: Callable[[], bool]
    ) -> list[Segment]:
        assert request.multichannel
        assert request.roles == {0: "doctor", 1: "patient"}
        progress(0.5)
        channel = {"doctor": 0, "patient": 1}
        return [
            Segment(f"s{n}", channel[role], channel[role], -1, text, n * 1000, n * 1000 + 900, role)
            for n, (role, text) in enumerate(self._turns(file))
        ]

    def _turns(self, file: Path) -> list[Any]:
        content = file.read_bytes()
        if not content.startswith(b"OggS"):
            raise BadAudio("undecodable")
        try:
            return list(json.loads(content.removeprefix(b"OggS")))
        except ValueError:  # cut short
            raise BadAudio("undecodable") from None


def deliveries_taken() -> float:
    names = (
        "ambient_events_stored_total",
        "ambient_events_duplicate_total",
        "ambient_events_ignored_total",
        "ambient_events_rejected_total",
    )
    return sum(sample.value for metric in REGISTRY.collect() for sample in metric.samples if sample.name in names)


@dataclass
class Hospital:
    house: House

    async def admit(self, encounter: str = "e1", *, patient: str = "p1", status: str = "finished", **more: Any) -> Json:
        """Patient and Encounter, in the EHR; returns the Encounter as the EHR holds it."""
        await self.put({"resourceType": "Patient", "id": patient, "active": True})
        return await self.put({
            "resourceType": "Encounter", "id": encounter, "status": status, "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{patient}"}, "period": {"start": "2026-01-05T09:00:00Z"}, **more,
        })  # fmt: skip

    async def record(
        self,
        media: str = "m1",
        *,
        encounter: str | None = "e1",
        patient: str = "p1",
        turns: Sequence[tuple[str, str]] = COUGH,
        **more: Any,
    ) -> Json:
        """Binary and Media, in the EHR; returns the Media as the EHR holds it."""
        import base64

        binary = {
            "resourceType": "Binary",
            "id": f"b-{media}",
            "contentType": "audio/ogg",
            "data": base64.b64encode(audio(*turns)).decode(),
        }
        await self.put(binary)
        return await self.put({
            "resourceType": "Media", "id": media, "status": "completed", "subject": {"reference": f"Patient/{patient}"},
            **({"encounter": {"reference": f"Encounter/{encounter}"}} if encounter else {}),
            "createdDateTime": "2026-01-05T09:00:00Z", "content": {"contentType": "audio/ogg", "url": f"Binary/b-{media}"}, **more,
        })  # fmt: skip

    async def put(self, resource: Json) -> Json:
        filed = await self.house.ehr.update(resource, None)
        return await self.house.ehr.read(filed.reference)

    def http(self) -> httpx.AsyncClient:
        """Whoever calls the house from outside."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.house.app), base_url="http://localhost")

    async def delete(self, reference: str) -> None:
        """Out of the EHR, which the workflow's own client never does."""
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.house.app), base_url=self.house.ehr.base_url + "/"
        ) as ehr:
            assert (await ehr.delete(reference)).is_success

    async def tell(self, *resources: Json, operation: str = "update") -> None:
        """Publishes an event for each resource, as it is."""
        for resource in resources:
            await self.publish(json.dumps(resource).encode(), f"fhir.{resource['resourceType']}.{operation}")

    async def publish(
        self,
        body: bytes,
        routing_key: str = "fhir.Media.update",
        content_type: str = "application/fhir+json",
        **headers: str,
    ) -> None:
        """Returns once the delivery was taken in, which a real broker's confirm does not say."""
        before = deliveries_taken()
        await self.house.broker.publish(
            body, routing_key=routing_key, content_type=content_type, message_id="", headers=headers
        )
        for _ in range(500):
            if deliveries_taken() > before:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the delivery was not taken in")

    async def visit(self, key: str = "Encounter/e1") -> Json:
        shown = await self.house.visits.show_visit(key)
        assert shown is not None, f"no visit {key}"
        return shown

    async def until(
        self, state: str, key: str = "Encounter/e1", reason: str | None = None, seconds: float = 10
    ) -> Json:
        """The visit, once it is in this state (for this reason) and nothing about it is due."""
        for _ in range(int(seconds / 0.05)):
            shown = await self.house.visits.show_visit(key)
            if (
                shown
                and shown["state"] == state
                and (reason is None or shown["reason"] == reason)
                and (state == "waiting" or shown["nextAt"] is None)
            ):
                return shown
            await asyncio.sleep(0.05)
        raise AssertionError(f"{key} is not {state} ({reason}) after {seconds} s but {shown}")

    async def notes(self, encounter: str = "e1") -> list[Json]:
        """Every DocumentReference of the Encounter, whatever its status, oldest first."""
        results = [
            step["result"]
            for step in (await self.visit(f"Encounter/{encounter}"))["steps"]
            if step["name"].startswith("filed:") and step["finishedAt"]
        ]
        return [await self.house.ehr.read(result["reference"]) for result in results]


def scratch_settings(folder: Path, **parts: Any) -> Settings:
    given = {
        "database": {"url": scratch_database(folder)},
        "blobs": {"url": f"file:{folder}/blobs"},
        "worker": {"poll": 0.25},
        "log": {"level": "error"},
        **parts,
    }
    return read_settings(**given)


@asynccontextmanager
async def open_hospital(folder: Path, **parts: Any) -> AsyncIterator[Hospital]:
    async with open_house(scratch_settings(folder, **parts), transcriber=WrittenAudio()) as house:
        yield Hospital(house)
