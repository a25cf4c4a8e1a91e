"""A process is killed, or an answer never comes, and meanwhile the facts change; what was sent arrives late, or has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from adapters.database.database import Database
from adapters.database.workflow_tables import visits
from service.errors import LostLease, NeedsPerson
from service.settings import read_settings
from service.workflow.ports import AnswerLost
from tests.journey.hospital import Hospital, Json, open_hospital
from tests.journey.test_orphans import sweep
from tests.scratch import scratch_database


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    """With leases that end soon: a run that loses its lease settles nothing, like one that was killed."""
    async with open_hospital(tmp_path, worker={"poll": 0.1, "lease": 2.0}) as hospital:
        yield hospital


class Once:
    """A port whose `call` ends in `error` the first time: after it was carried out, or before, and `late` does it then."""

    def __init__(self, port: Any, call: str, error: Exception, *, done: bool) -> None:
        self._port, self._call, self._error, self._done = port, call, error, done
        self._asked: list[Any] = []
        self.happened = False

    def __getattr__(self, name: str) -> Any:
        plain = getattr(self._port, name)
        if name != self._call or self.happened:
            return plain

        async def call(*asked: Any, **options: Any) -> Any:
            self.happened = True
            self._asked = [asked, options]
            if self._done:
                await plain(*asked, **options)
            raise self._error

        return call

    async def late(self) -> None:
        asked, options = self._asked
        await getattr(self._port, self._call)(*asked, **options)


async def again(hospital: Hospital) -> None:
    await hospital.house.visits.retry_visit("Encounter/e1")
    hospital.house.wake.set()


def statuses(notes: list[Json]) -> list[str]:
    return [note["status"] for note in notes]


async def every_note(hospital: Hospital) -> list[Json]:
    """Those that no step knows as well, oldest first."""
    async with hospital.http() as http:
        found = (await http.get(f"{hospital.house.ehr.base_url}/DocumentReference")).json()
    return [entry["resource"] for entry in found.get("entry", [])]


async def test_a_patient_that_changed_after_a_kill_is_not_given_the_others_recording(hospital: Hospital) -> None:
    hospital.house.ambient = Once(hospital.house.ambient, "upload_recording", LostLease("killed"), done=True)
    encounter = await hospital.admit()
    media = await hospital.record()
    del media["subject"]
    await hospital.tell(encounter, await hospital.put(media))
    await until_happened(hospital.house.ambient)
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    await hospital.tell(await hospital.put({**encounter, "subject": {"reference": "Patient/p2"}}))
    await hospital.until("parked", reason="subject_changed")
    assert await every_note(hospital) == []
    assert await sweep(hospital) == {"interaction": 1}


async def test_a_note_that_arrives_after_its_recording_was_withdrawn_is_taken_back(hospital: Hospital) -> None:
    hospital.house.ehr = slow = Once(hospital.house.ehr, "create_once", AnswerLost("ReadTimeout"), done=False)
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("waiting", reason="answer_lost")
    await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
    await hospital.until("cancelled", reason="recordings_withdrawn")
    await slow.late()
    assert statuses(await every_note(hospital)) == ["current"]
    await sweep(hospital)
    hospital.house.wake.set()
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert statuses(await every_note(hospital)) == ["entered-in-error"]
    assert await sweep(hospital) == {}


async def test_a_retraction_that_arrives_after_its_recording_was_restored_leaves_no_visit_without_its_note(
    hospital: Hospital,
) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("done")
    hospital.house.ehr = slow = Once(hospital.house.ehr, "update", AnswerLost("ReadTimeout"), done=False)
    withdrawn = {**media, "status": "entered-in-error"}
    slow.happened = True
    said = await hospital.put(withdrawn)
    slow.happened = False
    await hospital.tell(said)
    await hospital.until("waiting", reason="answer_lost")
    await hospital.tell(await hospital.put({**said, "status": "completed"}))
    await hospital.until("done")
    await slow.late()
    assert statuses(await every_note(hospital)) == ["entered-in-error"]
    await sweep(hospital)
    hospital.house.wake.set()
    await hospital.until("done")
    assert statuses(await every_note(hospital)) == ["entered-in-error", "current"]


async def test_a_note_of_a_killed_process_is_not_forgotten_when_its_encounter_is_cancelled(hospital: Hospital) -> None:
    hospital.house.ehr = Once(hospital.house.ehr, "create_once", LostLease("killed"), done=True)
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await until_happened(hospital.house.ehr)
    await hospital.tell(await hospital.put({**encounter, "status": "cancelled"}))
    await hospital.until("parked", reason="encounter_cancelled_after_filing")


async def test_a_note_does_not_quote_a_withdrawn_recording_while_another_is_awaited(hospital: Hospital) -> None:
    first, second = await hospital.record(), await hospital.record("m2", turns=[("patient", "My knee hurts as well.")])
    await hospital.tell(await hospital.admit(), first, second)
    await hospital.until("done")
    going_on = await hospital.put({**second, "status": "in-progress"})
    await hospital.tell(going_on, await hospital.put({**first, "status": "entered-in-error"}))
    await hospital.until("waiting", reason="recording_in_progress")
    assert statuses(await every_note(hospital)) == ["entered-in-error"]


async def test_two_notes_of_one_identifier_come_to_light(hospital: Hospital) -> None:
    """An EHR whose conditional create is not atomic took both: the one that was late, and the one that was sent again."""
    hospital.house.ehr = slow = Once(hospital.house.ehr, "create_once", AnswerLost("ReadTimeout"), done=False)
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("waiting", reason="answer_lost")
    await again(hospital)
    await hospital.until("done")
    (note,) = await every_note(hospital)
    await hospital.put({**note, "id": "late"})
    assert slow.happened
    await sweep(hospital)
    hospital.house.wake.set()
    await hospital.until("parked", reason="several_matches")
    assert await sweep(hospital) == {}
    await hospital.until("parked", reason="several_matches")


async def test_news_does_not_wait_for_an_engine_that_is_left_alone(hospital: Hospital, tmp_path: Path) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("done")
    settings = read_settings(database={"url": scratch_database(tmp_path)}).database
    async with Database.connect(settings) as database:
        async with database.transaction() as connection:
            await connection.execute(update(visits).values(waiting_on="engine"))
        await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
        await hospital.until("cancelled")
        async with database.reading() as connection:
            assert (await connection.execute(select(visits.c.waiting_on))).scalars().all() == [None]


async def until_happened(once: Any) -> None:
    async with asyncio.timeout(10):
        while not once.happened:  # noqa: ASYNC110 - the house runs on its own
            await asyncio.sleep(0.02)


async def test_a_search_that_is_refused_during_a_sweep_doubts_nothing(hospital: Hospital) -> None:
    hospital.house.ehr = Once(hospital.house.ehr, "create_once", AnswerLost("ReadTimeout"), done=True)
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("waiting", reason="answer_lost")
    await again(hospital)
    await hospital.until("done")
    hospital.house.ehr = Once(hospital.house.ehr, "find", NeedsPerson("ehr_refused", "403"), done=False)
    await sweep(hospital)
    await hospital.until("done")
    assert statuses(await every_note(hospital)) == ["current"]
