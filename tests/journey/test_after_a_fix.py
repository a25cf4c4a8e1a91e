"""A person mends what was wrong, asks what would happen now, and has it done: then the visit finishes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from adapters.database.schema import metadata
from service.events.delivery import Delivery
from service.events.reading import read_events
from service.main import open_records, open_workplace
from tests.integration.processes import run
from tests.journey.hospital import Hospital, open_hospital
from tests.scratch import scratch_database

ELSEWHERE = "http://127.0.0.1:8001/sandbox/fhir/R4"
"""This EHR's own base, once the service is told that it listens on port 8001."""


async def only_letter(http: httpx.AsyncClient) -> str:
    (letter,) = (await http.get("/dead-letters")).json()["deadLetters"]
    return str(letter["id"])


async def replay(http: httpx.AsyncClient, letter: str, **how: object) -> Any:
    return (await http.post(f"/dead-letters/{letter}/replay", params=how)).json()["verdict"]


async def would(http: httpx.AsyncClient, visit: str = "Encounter/e1") -> list[Any]:
    """What a retry would do, in the words that say it."""
    answer = await http.post(f"/visits/{visit}/retry", params={"dryRun": True})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return [said["verdict"], said["step"] and said["step"].partition(":")[0], said["state"], said["reason"]]


async def command(words: str, folder: Path) -> str:
    """What it prints, while this process goes on."""
    given = {"DATABASE__URL": scratch_database(folder), "BLOBS__URL": f"file:{folder}/blobs", "LOG__LEVEL": "error"}
    done = await asyncio.to_thread(run, words, **given)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


async def everything(hospital: Hospital) -> list[Any]:
    """Every row of the database: visits, steps, the ambient side and the EHR."""
    tables = {table.name: table for table in metadata.sorted_tables if table.name != "canaries"}
    assert {"visits", "steps", "facts", "ambient_interactions", "ambient_uploads", "sandbox_versions"} <= set(tables)
    async with Database.connect(hospital.house.settings.database) as database, database.reading() as connection:
        return [(name, (await connection.execute(select(table))).all()) for name, table in tables.items()]


async def test_a_delivery_that_was_too_large_is_filed_once_the_limit_is_raised(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, broker={"max_message": "600"}) as hospital, hospital.http() as http:
        await hospital.admit()
        await hospital.tell(await hospital.record(note=[{"text": "x" * 600}]))
        letter = await only_letter(http)
        assert await replay(http, letter) == "rejected"
    async with open_hospital(tmp_path) as hospital, hospital.http() as http:
        assert await replay(http, letter, dryRun=True) == "would_be_stored"
        assert await replay(http, letter) == "replayed"
        await hospital.until("done")
        assert len(await hospital.notes()) == 1


async def test_a_delivery_of_a_foreign_ehr_is_filed_once_the_service_knows_that_it_is_its_own(tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital, hospital.http() as http:
        await hospital.admit()
        media = await hospital.record()
        await hospital.tell({**media, "encounter": {"reference": f"{ELSEWHERE}/Encounter/e1"}})
        letter = await only_letter(http)
    async with open_hospital(tmp_path, http={"port": 8001}) as hospital, hospital.http() as http:
        assert await replay(http, letter) == "replayed"
        await hospital.until("done")
        assert len(await hospital.notes()) == 1


async def test_a_parked_visit_is_filed_once_its_setting_is_corrected(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, ehr={"audio_max": "20"}) as hospital, hospital.http() as http:
        await hospital.tell(await hospital.admit(), await hospital.record())
        await hospital.until("parked", reason="audio_too_large")
        before = await everything(hospital)
        assert await would(http) == ["would_park", None, "parked", "audio_too_large"]
        assert await everything(hospital) == before
    async with open_hospital(tmp_path) as hospital, hospital.http() as http:
        assert await would(http) == ["would_take", "recording", None, None]
        assert (await http.post("/visits/Encounter/e1/retry")).status_code == 202
        await hospital.until("done")
        assert len(await hospital.notes()) == 1
        before = await everything(hospital)
        assert await would(http) == ["would_end", None, "done", None]
        assert await everything(hospital) == before


@pytest.mark.slow
async def test_a_parked_visit_is_filed_by_command_once_the_ehr_is_corrected(tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        await hospital.admit()
        media = await hospital.record(encounter=None)
        await hospital.tell(media)
        await hospital.until("parked", "Media/m1", reason="media_without_encounter")
        await hospital.put({**media, "encounter": {"reference": "Encounter/e1"}})
        before = await everything(hospital)
        moved = "would_end cancelled moved_to_encounter: Media/m1 goes to Encounter/e1\n"
        assert await command("visits retry --dry-run Media/m1", tmp_path) == moved
        assert await everything(hospital) == before
        assert await command("visits retry Media/m1", tmp_path) == "Media/m1 is due now\n"
        await hospital.until("done", "Encounter/e1")
        assert len(await hospital.notes()) == 1


async def test_a_dry_run_goes_by_what_the_ehr_says_now(hospital: Hospital, http: httpx.AsyncClient) -> None:
    encounter = await hospital.admit(status="in-progress")
    await hospital.tell(await hospital.record())
    await hospital.until("waiting", reason="encounter_not_finished")
    assert await would(http) == ["would_wait", None, "waiting", "encounter_not_finished"]
    for said, foreseen in (
        ({"status": "finished"}, ["would_take", "document", None, None]),
        ({"status": "entered-in-error"}, ["would_end", None, "cancelled", "encounter_entered_in_error"]),
        ({"subject": {"reference": "Patient/p2"}}, ["would_park", None, "parked", "subject_mismatch"]),
    ):
        await hospital.put({**encounter, **said})
        before = await everything(hospital)
        assert await would(http) == foreseen
        assert await everything(hospital) == before


async def test_a_dry_run_takes_no_note_back(tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        await hospital.tell(await hospital.admit(), await hospital.record())
        await hospital.until("done")
        withdrawn = await hospital.put({**await hospital.house.ehr.read("Media/m1"), "status": "entered-in-error"})
    settings, delivery = hospital.house.settings, Delivery(json.dumps(withdrawn).encode())
    async with Database.connect(settings.database) as database:
        await SqlInbox(database).store(delivery, read_events(delivery, hospital.house.ehr.base_url), "sandbox")
    before = await everything(hospital)
    async with open_records(settings) as desk, open_workplace(settings) as place:
        visit = await desk.visits.find_visit("Encounter/e1")
        assert visit is not None
        assert str(await place.rehearse(visit)).startswith("would_take retired:corti-soap:")
    assert await everything(hospital) == before


async def test_a_dry_run_of_an_unknown_visit(http: httpx.AsyncClient) -> None:
    assert (await http.post("/visits/Encounter/unknown/retry", params={"dryRun": True})).status_code == 404
