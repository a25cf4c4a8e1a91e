"""The sandbox EHR behind a wire on which a test may answer in its place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from adapters.ehr.audio import AudioSource
from adapters.ehr.client import EhrClient
from tests.journey.hospital import Hospital, Json

Answer = Callable[[httpx.Request], httpx.Response | None]


class Wire(httpx.AsyncBaseTransport):
    def __init__(self, app: Any, answer: Answer) -> None:
        self._sandbox = httpx.ASGITransport(app=app)
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self._answer(request) or await self._sandbox.handle_async_request(request)


def answer_for_the_ehr(hospital: Hospital, answer: Answer) -> None:
    """From here on the house gets `answer`'s response where it gives one, else the sandbox's."""
    base = hospital.house.ehr.base_url
    http = httpx.AsyncClient(transport=Wire(hospital.house.app, answer))
    hospital.house.ehr = EhrClient(
        http, base, hospital.house.ehr.name, 5, AudioSource(http, http, base, frozenset(), 10**6, 5)
    )


def answering(method: str, reference: str, status: int, **response: Any) -> Answer:
    """One answer to every such request."""

    def answer(request: httpx.Request) -> httpx.Response | None:
        asked = request.method == method and request.url.path.endswith(f"/{reference}")
        return httpx.Response(status, **response) if asked else None

    return answer


def showing(*resources: Json) -> Answer:
    """These are read as they are here, whatever the sandbox holds, or would take."""
    shown = {f"{resource['resourceType']}/{resource['id']}": resource for resource in resources}

    def answer(request: httpx.Request) -> httpx.Response | None:
        reference = "/".join(request.url.path.split("/")[-2:])
        known = shown.get(reference) if request.method == "GET" else None
        return httpx.Response(200, json=known) if known else None

    return answer


class Meanwhile:
    """A port on which something happens right after the first `call`."""

    def __init__(self, port: Any, call: str, happens: Callable[[], Awaitable[Any]]) -> None:
        self._port, self._call, self._happens = port, call, happens
        self.happened = False

    def __getattr__(self, name: str) -> Any:
        plain = getattr(self._port, name)
        if name != self._call or self.happened:
            return plain

        async def call(*asked: Any, **options: Any) -> Any:
            answer = await plain(*asked, **options)
            if not self.happened:
                self.happened = True
                await self._happens()
            return answer

        return call


async def again(hospital: Hospital, key: str = "Encounter/e1") -> None:
    """What `visits retry` does."""
    await hospital.house.visits.retry_visit(key)
    hospital.house.wake.set()


async def every_note(hospital: Hospital) -> list[Json]:
    """What the EHR really holds, those that no step knows as well."""
    async with hospital.http() as http:
        found = (await http.get(f"{hospital.house.ehr.base_url}/DocumentReference")).json()
    return [entry["resource"] for entry in found.get("entry", [])]


async def nothing_left_the_house(hospital: Hospital, patient: str = "p1", key: str = "Encounter/e1") -> bool:
    """Whether the engine was told nothing, and the EHR given nothing."""
    visit = await hospital.visit(key)
    known = await hospital.house.ambient.find_interaction(identifier=visit["id"], patient=f"Patient/{patient}")
    return known is None and await every_note(hospital) == []
