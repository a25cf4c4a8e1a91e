"""Interactions change, and no two of a tenant have the same encounter identifier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.database.database import Database
from tests.ambient_service import AmbientService, ambient_service, visit

PERIOD = {"startedAt": "2026-01-01T09:00:00Z", "endedAt": "2026-01-01T09:20:00Z"}
PATIENT = {"identifier": "p-17", "name": "A", "gender": "female"}


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[AmbientService]:
    async with ambient_service(database, tmp_path / "blobs") as service:
        yield service


@pytest.fixture
async def path(service: AmbientService) -> str:
    """An interaction with a patient, a title and a period."""
    body = {**visit(title="First", period=PERIOD), "patient": PATIENT}
    return f"interactions/{(await service.http.post('interactions/', json=body)).json()['id']}"


async def changed(service: AmbientService, path: str, body: Any) -> dict[str, Any]:
    response = await service.http.patch(path, json=body)
    assert response.status_code == 200, response.text
    assert (await service.http.get(path)).json() == response.json()
    return dict(response.json())


async def test_a_change_is_merged_with_what_is_known(service: AmbientService, path: str) -> None:
    before = (await service.http.get(path)).json()
    after = await changed(
        service, path, {"encounter": {"status": "completed"}, "patient": {"identifier": "p-18", "pronouns": "she/her"}}
    )
    assert after["encounter"] == before["encounter"] | {"status": "completed"}
    assert after["patient"] == {**PATIENT, "identifier": "p-18", "pronouns": "she/her"}
    assert after["assignedUserId"] == before["assignedUserId"]
    assert after["updatedAt"] == after["lastUpdated"] > before["updatedAt"]


@pytest.mark.parametrize("body", [{}, {"encounter": {}}, {"assignedUserId": None}, {"patient": None}])
async def test_a_change_of_nothing_is_accepted(service: AmbientService, path: str, body: Any) -> None:
    before = (await service.http.get(path)).json()
    assert await changed(service, path, body) == before


async def test_null_takes_away_what_an_interaction_may_lack(service: AmbientService, path: str) -> None:
    after = await changed(
        service,
        path,
        {
            "encounter": {"title": None, "status": None, "period": {"startedAt": PERIOD["startedAt"], "endedAt": None}},
            "patient": {"identifier": "p-17", "name": None, "gender": None},
        },
    )
    assert "title" not in after["encounter"]
    assert after["encounter"]["status"] == "planned"
    assert after["encounter"]["period"] == {"startedAt": PERIOD["startedAt"]}
    assert "endedAt" not in after
    assert after["patient"] == {"identifier": "p-17"}


async def test_an_end_is_seen_outside_the_encounter_too(service: AmbientService) -> None:
    path = f"interactions/{await service.interaction()}"
    after = await changed(service, path, {"encounter": {"period": PERIOD}})
    assert after["endedAt"] == PERIOD["endedAt"]


async def test_a_changed_interaction_is_found_by_its_new_values(service: AmbientService, path: str) -> None:
    after = await changed(service, path, {"encounter": {"status": "deleted"}, "patient": {"identifier": "p-19"}})
    for query in ({"encounterStatus": "deleted"}, {"patient": "p-19"}):
        listed = (await service.http.get("interactions/", params=query)).json()["interactions"]
        assert [one["id"] for one in listed] == [after["id"]]
    assert (await service.http.get("interactions/", params={"patient": "p-17"})).json() == {"interactions": []}


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"encounter": {"status": "over"}},
        {"encounter": {"identifier": 1}},
        {"encounter": {"period": {"endedAt": PERIOD["endedAt"]}}},
        {"patient": {"name": "A"}},
        {"assignedUserId": "me"},
        {"encounter": {"identifier": "x" * 256}},
        {"encounter": {"identifier": ""}},
        {"encounter": {"title": "x" * 256}},
    ],
)
async def test_a_change_that_is_not_valid_is_refused(service: AmbientService, path: str, body: Any) -> None:
    before = (await service.http.get(path)).json()
    refused = await service.http.patch(path, json=body)
    assert (refused.status_code, refused.json()["type"]) == (400, "A0003")
    assert (await service.http.get(path)).json() == before


async def test_an_identifier_is_taken_once_in_a_tenant(service: AmbientService) -> None:
    body = visit()
    created = (await service.http.post("interactions/", json=body)).json()["id"]
    refused = await service.http.post("interactions/", json=body)
    assert (refused.status_code, refused.json()["type"]) == (400, "A0017")
    assert (await service.http.post("interactions/", json=body, headers={"Tenant-Name": "other"})).status_code == 201
    assert (await service.http.delete(f"interactions/{created}")).status_code == 204
    assert (await service.http.post("interactions/", json=body)).status_code == 201


async def test_an_identifier_cannot_be_changed_to_one_that_is_taken(service: AmbientService, path: str) -> None:
    body = visit()
    await service.http.post("interactions/", json=body)
    identifier = {"encounter": {"identifier": body["encounter"]["identifier"]}}
    refused = await service.http.patch(path, json=identifier)
    assert (refused.status_code, refused.json()["type"]) == (400, "A0017")


async def test_of_simultaneous_creations_with_one_identifier_one_succeeds(service: AmbientService) -> None:
    body = visit()
    answers = await asyncio.gather(*(service.http.post("interactions/", json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400, 400]


async def test_simultaneous_changes_lose_nothing(service: AmbientService, path: str) -> None:
    changes = [{"encounter": {"title": "Second"}}, {"encounter": {"status": "on-hold"}}, {"patient": PATIENT}]
    await asyncio.gather(*(service.http.patch(path, json=change) for change in changes))
    encounter = (await service.http.get(path)).json()["encounter"]
    assert (encounter["title"], encounter["status"]) == ("Second", "on-hold")
