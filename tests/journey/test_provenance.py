"""Each note's making is told to the EHR once, as far as it takes that; else the service keeps it. No note waits for it for good."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from service.fhir.codes import DEVICE_SYSTEM
from service.workflow.provenance import PATIENCE
from tests.ehrs.wire import outcome
from tests.journey.hospital import Hospital, Json, open_hospital
from tests.journey.wired import due_again, open_wired

CONSULT = {"participant": [{"individual": {"reference": "Practitioner/d7"}}], "serviceProvider": {"reference": "Organization/o1"}}  # fmt: skip


def kept(why: str) -> float:
    return REGISTRY.get_sample_value("ambient_provenance_kept_total", {"reason": why}) or 0.0


async def told(hospital: Hospital, http: httpx.AsyncClient, encounter: str = "e1") -> list[Json]:
    """What the operations API shows."""
    answer = await http.get(f"/visits/Encounter/{encounter}/provenance")
    assert answer.status_code == 200
    return list(answer.json()["provenance"])


async def in_ehr(hospital: Hospital, kind: str) -> list[Json]:
    return await hospital.house.ehr.search(kind, {})


async def noted(hospital: Hospital, encounter: str = "e1", **more: Any) -> Json:
    """A visit of this Encounter, with its note."""
    media = await hospital.record(f"m-{encounter}", encounter=encounter)
    await hospital.tell(await hospital.admit(encounter, **more), media)
    return await hospital.until("done", f"Encounter/{encounter}")


async def test_the_note_of_a_visit_has_one_provenance_by_one_device(
    hospital: Hospital, http: httpx.AsyncClient
) -> None:
    await noted(hospital, **CONSULT)
    (note,), (device,), (made,) = (
        await hospital.notes(),
        await in_ehr(hospital, "Device"),
        await in_ehr(hospital, "Provenance"),
    )
    assert made["target"] == [{"reference": f"DocumentReference/{note['id']}/_history/1"}]
    assert [agent["who"]["reference"] for agent in made["agent"]] == [f"Device/{device['id']}", "Practitioner/d7"]
    assert [agent["onBehalfOf"]["reference"] for agent in made["agent"]] == ["Organization/o1"] * 2
    assert [entity["what"].get("reference") for entity in made["entity"]] == ["Media/m-e1", "Encounter/e1", None]
    assert device["identifier"][0]["system"] == DEVICE_SYSTEM
    assert await told(hospital, http) == [
        {"note": f"DocumentReference/{note['id']}", "reference": f"Provenance/{made['id']}", "resource": None}
    ]


async def test_the_device_is_created_once_however_many_visits_there_are(hospital: Hospital) -> None:
    first, second = await noted(hospital), await noted(hospital, "e2")
    assert len(await in_ehr(hospital, "Device")) == 1
    assert len(await in_ehr(hospital, "Provenance")) == 2
    asked = [
        [step["name"] for step in visit["steps"] if step["name"].startswith("device:")] for visit in (first, second)
    ]
    assert list(map(len, asked)) == [1, 0]


async def test_another_process_finds_the_device_of_the_one_before(tmp_path: Path) -> None:
    for encounter in ("e1", "e2"):
        async with open_hospital(tmp_path) as hospital:
            await noted(hospital, encounter)
            assert len(await in_ehr(hospital, "Device")) == 1


async def test_a_run_over_a_finished_visit_tells_nothing_again(hospital: Hospital, http: httpx.AsyncClient) -> None:
    before = await noted(hospital)
    await http.post("/visits/Encounter/e1/retry")
    after = await hospital.until("done")
    assert [step["name"] for step in after["steps"]] == [step["name"] for step in before["steps"]]
    assert len(await in_ehr(hospital, "Provenance")) == 1


async def test_a_redraft_has_a_provenance_of_its_own_and_a_withdrawn_note_keeps_its(hospital: Hospital) -> None:
    await noted(hospital)
    await hospital.tell(await hospital.record("m2", createdDateTime="2026-01-05T09:10:00Z"))
    await hospital.until("done")
    old, new = await hospital.notes()
    targets = [made["target"][0]["reference"] for made in await in_ehr(hospital, "Provenance")]
    assert targets == [f"DocumentReference/{old['id']}/_history/1", f"DocumentReference/{new['id']}/_history/1"]
    assert old["status"] == "superseded"


async def test_the_organization_of_the_settings_goes_before_the_encounters(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, ehr={"organization": "Organization/house"}) as hospital:
        await noted(hospital, **CONSULT)
        (made,) = await in_ehr(hospital, "Provenance")
    assert {agent["onBehalfOf"]["reference"] for agent in made["agent"]} == {"Organization/house"}


async def test_where_the_profile_says_no_the_service_keeps_it(tmp_path: Path) -> None:
    profile = tmp_path / "closed.yaml"
    profile.write_text("name: closed\nwriting: {provenance: false, device: false}\n")
    async with open_hospital(tmp_path, ehr={"profile": str(profile)}) as hospital, hospital.http() as http:
        await noted(hospital)
        (note,), (shown,) = await hospital.notes(), await told(hospital, http)
        assert await in_ehr(hospital, "Provenance") == await in_ehr(hospital, "Device") == []
    assert shown["reference"] is None
    assert shown["resource"]["target"] == [{"reference": f"DocumentReference/{note['id']}/_history/1"}]
    assert shown["resource"]["contained"][0]["resourceType"] == "Device"


async def test_an_unknown_visit_has_none(http: httpx.AsyncClient) -> None:
    assert (await http.get("/visits/Encounter/unknown/provenance")).status_code == 404


async def test_a_visit_without_a_note_shows_none(hospital: Hospital, http: httpx.AsyncClient) -> None:
    await hospital.tell(await hospital.admit())
    await hospital.until("done", reason="no_recording")
    assert await told(hospital, http) == []


# --- an EHR on the wire that does not do as it should ------------------------------------------------------------------


STATEMENT = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": [
    {"type": "DocumentReference", "interaction": [{"code": "create"}, {"code": "update"}], "conditionalCreate": True,
     "searchParam": [{"name": "identifier"}]},
]}]}  # fmt: skip


def statement_with(*resources: Json) -> Json:
    (rest,) = STATEMENT["rest"]
    return {**STATEMENT, "rest": [{**rest, "resource": [*rest["resource"], *resources]}]}


TAKES_PROVENANCE = {"type": "Provenance", "interaction": [{"code": "create"}], "searchParam": [{"name": "patient"}]}


@pytest.mark.parametrize("metadata", [(200, STATEMENT), (404, None)], ids=["takes_none", "does_not_say"])
async def test_an_ehr_that_does_not_say_it_takes_it_is_not_asked(tmp_path: Path, metadata: tuple[int, Any]) -> None:
    profile = tmp_path / "silent.yaml"
    profile.write_text("name: silent\nwriting: {conditional_create: true}\n")
    async with open_wired(tmp_path, profile=str(profile)) as (hospital, wire), hospital.http() as http:
        wire.will_answer("GET", "metadata", *metadata, times=99)
        wire.will_answer("POST", "Provenance", 500, times=99)
        wire.will_answer("POST", "Device", 500, times=99)
        await noted(hospital)
        (shown,) = await told(hospital, http)
    assert shown["resource"]["agent"][0]["who"]["reference"] == "#scribe"


@pytest.mark.parametrize("status", [400, 403, 404, 405, 422])
async def test_a_provenance_that_is_refused_is_kept_and_the_note_stands(tmp_path: Path, status: int) -> None:
    before = kept("refused")
    async with open_wired(tmp_path) as (hospital, wire), hospital.http() as http:
        wire.will_answer("POST", "Provenance", status, outcome("error", "invalid", "Provenance.agent"))
        await noted(hospital)
        (note,), (shown,) = await hospital.notes(), await told(hospital, http)
        await noted(hospital, "e2")
        (next_one,) = await told(hospital, http, "e2")
    assert note["status"] == "current"
    assert shown["resource"]["target"][0]["reference"].startswith(f"DocumentReference/{note['id']}")
    assert next_one["reference"]
    assert kept("refused") == before + 1


async def test_a_device_that_is_refused_is_contained_in_the_provenance(tmp_path: Path) -> None:
    async with open_wired(tmp_path) as (hospital, wire):
        wire.will_answer("POST", "Device", 403)
        await noted(hospital)
        await noted(hospital, "e2")
        assert await in_ehr(hospital, "Device") == []
        for made in await in_ehr(hospital, "Provenance"):
            assert made["contained"][0]["identifier"][0]["system"] == DEVICE_SYSTEM
            assert made["agent"][0]["who"]["reference"] == "#scribe"


async def test_a_failure_that_may_pass_is_waited_for(tmp_path: Path) -> None:
    async with open_wired(tmp_path) as (hospital, wire), hospital.http() as http:
        wire.will_answer("POST", "Provenance", 429)
        await hospital.tell(await hospital.admit(), await hospital.record())
        await hospital.until("waiting", reason="ehr_unavailable")
        (note,) = await hospital.notes()
        await due_again(hospital)
        await hospital.until("done")
        assert note["status"] == "current"
        assert [shown["reference"] is not None for shown in await told(hospital, http)] == [True]
        assert len(await in_ehr(hospital, "Provenance")) == 1


async def test_a_failure_that_does_not_pass_ends_in_keeping_it(tmp_path: Path) -> None:
    before = kept("failing")
    async with open_wired(tmp_path) as (hospital, wire), hospital.http() as http:
        wire.will_answer("POST", "Provenance", 500, times=99)
        await hospital.tell(await hospital.admit(), await hospital.record())
        for _ in range(PATIENCE):
            await hospital.until("waiting", reason="answer_lost")
            await due_again(hospital)
            await asyncio.sleep(0.05)
        await hospital.until("done")
        (shown,) = await told(hospital, http)
    assert shown["resource"]["resourceType"] == "Provenance"
    assert kept("failing") == before + 1


async def test_a_provenance_whose_answer_was_lost_is_found_and_not_sent_again(tmp_path: Path) -> None:
    async with open_wired(tmp_path) as (hospital, wire), hospital.http() as http:
        wire.will_answer("POST", "Provenance", 502, b"<html>", done=True)
        await hospital.tell(await hospital.admit(), await hospital.record())
        await hospital.until("waiting", reason="answer_lost")
        await due_again(hospital)
        await hospital.until("done")
        (made,) = await in_ehr(hospital, "Provenance")
        assert [shown["reference"] for shown in await told(hospital, http)] == [f"Provenance/{made['id']}"]


async def test_one_that_never_arrived_is_sent_again(tmp_path: Path) -> None:
    async with open_wired(tmp_path) as (hospital, wire):
        wire.will_answer("POST", "Provenance", 502, b"<html>")
        await hospital.tell(await hospital.admit(), await hospital.record())
        await hospital.until("waiting", reason="answer_lost")
        await due_again(hospital)
        await hospital.until("done")
        assert len(await in_ehr(hospital, "Provenance")) == 1


@pytest.mark.parametrize("cannot", ["search_by_target", "search"])
async def test_where_the_ehr_cannot_tell_it_is_kept_rather_than_sent_twice(tmp_path: Path, cannot: str) -> None:
    before = kept("undecided")
    async with open_wired(tmp_path) as (hospital, wire), hospital.http() as http:
        if cannot == "search":
            wire.will_answer("GET", "Provenance", 403)
        else:
            wire.will_answer("GET", "metadata", 200, statement_with(TAKES_PROVENANCE), times=99)
        wire.will_answer("POST", "Provenance", 502, b"<html>", done=True)
        await hospital.tell(await hospital.admit(), await hospital.record())
        await hospital.until("waiting", reason="answer_lost")
        await due_again(hospital)
        await hospital.until("done")
        (shown,) = await told(hospital, http)
        assert len(await in_ehr(hospital, "Provenance")) == 1
    assert shown["resource"]["resourceType"] == "Provenance"
    assert kept("undecided") == before + 1
