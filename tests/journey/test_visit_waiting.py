"""What is missing is waited for, with a reason and a bound; then a person is told what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import insert

from adapters.database.database import Database
from adapters.database.schema import clock
from adapters.database.workflow_tables import visits
from service.settings import read_settings
from tests.journey.hospital import Hospital, open_hospital
from tests.scratch import scratch_database

SHORT = {"notes": {"incomplete_wait": 0.05, "max_wait": 0.05}}


EMPTY = {"contentType": "audio/ogg"}


async def test_a_media_without_content_waits(hospital: Hospital) -> None:
    media = await hospital.record(content=EMPTY)
    await hospital.tell(await hospital.admit(), media)
    visit = await hospital.until("waiting", reason="media_without_content")
    assert visit["nextAt"]
    await hospital.tell(await hospital.put({**media, "content": {**EMPTY, "url": "Binary/b-m1"}}))
    await hospital.until("done")


async def test_content_that_the_ehr_has_by_now_needs_no_event(hospital: Hospital) -> None:
    media = await hospital.record()
    await hospital.tell(await hospital.admit(), {**media, "content": EMPTY})
    await hospital.until("done")


async def test_a_media_without_content_is_parked_after_its_time(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **SHORT) as hospital:
        await hospital.tell(await hospital.admit(), await hospital.record(content=EMPTY))
        visit = await hospital.until("parked", reason="media_without_content")
        assert "waited" in visit["detail"]


async def test_an_encounter_without_subject_waits_then_parks(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **SHORT) as hospital:
        encounter = await hospital.admit()
        anonymous = await hospital.put({k: v for k, v in encounter.items() if k != "subject"})
        await hospital.tell(anonymous, await hospital.record())
        await hospital.until("parked", reason="encounter_without_subject")


async def test_an_encounter_that_the_ehr_does_not_show_yet_waits(hospital: Hospital) -> None:
    media = await hospital.record()
    await hospital.tell(media)
    await hospital.until("waiting", reason="not_in_ehr")
    await hospital.tell(await hospital.admit())
    await hospital.until("done")


async def test_audio_that_is_not_there_yet_waits(hospital: Hospital) -> None:
    media = await hospital.record(content={"contentType": "audio/ogg", "url": "Binary/later"})
    await hospital.tell(await hospital.admit(), media)
    await hospital.until("waiting", reason="audio_not_there")


async def test_audio_that_is_not_the_described_one_is_not_used(hospital: Hospital) -> None:
    media = await hospital.record(content={"contentType": "audio/ogg", "url": "Binary/b-m1", "size": 7})
    await hospital.tell(await hospital.admit(), media)
    visit = await hospital.until("waiting", reason="audio_incomplete")
    interaction = next(s["result"]["id"] for s in visit["steps"] if s["name"] == "interaction")
    assert await hospital.house.ambient.list_recordings(interaction) == []


async def test_a_visit_that_never_finishes_is_parked(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **SHORT) as hospital:
        encounter = await hospital.admit(status="in-progress")
        await hospital.tell(encounter, await hospital.record())
        await hospital.until("parked", reason="encounter_not_finished")


async def test_a_visit_that_never_finishes_is_drafted_where_that_is_wanted(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, notes={"max_wait": 0.05, "after_max_wait": "draft"}) as hospital:
        encounter = await hospital.admit(status="in-progress")
        await hospital.tell(encounter, await hospital.record())
        await hospital.until("done")
        assert len(await hospital.notes()) == 1


async def test_a_media_without_encounter_is_parked_and_goes_on_once_it_names_one(hospital: Hospital) -> None:
    await hospital.admit()
    media = await hospital.record(encounter=None)
    await hospital.tell(media)
    await hospital.until("parked", "Media/m1", reason="media_without_encounter")
    await hospital.put({**media, "encounter": {"reference": "Encounter/e1"}})
    await hospital.house.visits.retry_visit("Media/m1")
    hospital.house.wake.set()
    await hospital.until("done", "Encounter/e1")
    await hospital.until("cancelled", "Media/m1", reason="moved_to_encounter")
    assert len(await hospital.notes()) == 1


async def test_a_media_without_encounter_is_drafted_where_that_is_allowed(tmp_path: Path) -> None:
    async with open_hospital(
        tmp_path, notes={"trigger": "media_completed", "allow_without_encounter": True}
    ) as hospital:
        await hospital.put({"resourceType": "Patient", "id": "p1"})
        await hospital.tell(await hospital.record(encounter=None))
        visit = await hospital.until("done", "Media/m1")
        reference = next(s["result"]["reference"] for s in visit["steps"] if s["name"].startswith("filed:"))
        note = await hospital.house.ehr.read(reference)
        assert note["subject"] == {"reference": "Patient/p1"}
        assert "encounter" not in note["context"]


async def test_silence_never_becomes_a_note(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record(turns=[]))
    await hospital.until("parked", reason="no_speech")
    assert await hospital.notes() == []


async def test_a_recording_that_cannot_be_decoded_is_parked(hospital: Hospital) -> None:
    media = await hospital.record()
    await hospital.put({"resourceType": "Binary", "id": "b-m1", "contentType": "audio/ogg", "data": "anVuaw=="})
    await hospital.tell(await hospital.admit(), media)
    await hospital.until("parked", reason="recording_refused")


async def test_a_thousand_waiting_visits_cost_rows_only(tmp_path: Path) -> None:
    database = read_settings(database={"url": scratch_database(tmp_path)}).database
    async with open_hospital(tmp_path) as hospital, Database.connect(database) as other:
        await hospital.tell(await hospital.admit(), await hospital.record())
        await hospital.until("done")
        tasks = len(asyncio.all_tasks())
        await _wait(other, 1000)
        hospital.house.wake.set()
        await hospital.tell(await hospital.admit("e2"), await hospital.record("m2", encounter="e2"))
        await hospital.until("done", "Encounter/e2")
        assert (await hospital.house.visits.count_by_state())["waiting"] == 1000
        assert len(asyncio.all_tasks()) <= tasks


async def _wait(database: Database, visits_waiting: int) -> None:
    rows = [
        {"id": f"{n:036}", "ehr": "sandbox", "key": f"Encounter/w{n}", "state": "waiting"}
        for n in range(visits_waiting)
    ]
    async with database.transaction() as connection:
        await connection.execute(insert(visits).values(next_at=clock(3600), reason="transcribing"), rows)
