"""Versions that an event told of and the EHR does not have: after a restore, from a copy that lags, or never."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.journey.edge_cases.ehr_at_the_wire import again, every_note, nothing_left_the_house
from tests.journey.hospital import Json, open_hospital

AHEAD = {"meta": {"versionId": "99", "lastUpdated": "2099-01-05T09:00:00Z"}}


async def test_case_14_a_version_that_only_a_pointer_told_of_is_believed_until_a_copy_had_time_to_catch_up(
    tmp_path: Path,
) -> None:
    """As after a restore: the EHR numbers its versions anew."""
    async with open_hospital(tmp_path, notes={"incomplete_wait": 0.2}) as hospital:
        encounter, _ = await hospital.admit(), await hospital.record()
        pointer = {"payload": {"operationType": "UPDATE", "resourceId": "Media/m1", "payloadId": "Media/m1/_history/9"}}
        await hospital.tell(encounter)
        await hospital.publish(json.dumps(pointer).encode())
        await hospital.until("cancelled", "Media/m1", "moved_to_encounter")
        await hospital.until("done", reason=None)
        assert [note["status"] for note in await every_note(hospital)] == ["current"]


@pytest.mark.parametrize("claim", [{"status": "cancelled"}, {"subject": {"reference": "Patient/p2"}}], ids=str)
async def test_case_14_a_person_s_retry_takes_the_ehr_s_word_about_a_version_it_never_had(
    tmp_path: Path, claim: Json
) -> None:
    async with open_hospital(tmp_path, notes={"incomplete_wait": 0.2}) as hospital:
        encounter, media = await hospital.admit(), await hospital.record()
        await hospital.tell({**encounter, **claim, **AHEAD}, media)
        await hospital.until("parked", reason="ehr_behind")
        await again(hospital)
        await hospital.until("done")
        assert [note["subject"]["reference"] for note in await every_note(hospital)] == ["Patient/p1"]


async def test_case_14_nor_does_a_deletion_that_never_was_keep_it_parked(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, notes={"incomplete_wait": 0.2}) as hospital:
        encounter, media = await hospital.admit(), await hospital.record()
        await hospital.tell(encounter, media)
        await hospital.until("done")
        pointer = {
            "payload": {"operationType": "DELETE", "resourceId": "Media/m1", "payloadId": "Media/m1/_history/99"}
        }
        await hospital.publish(json.dumps(pointer).encode())
        await hospital.until("parked", reason="ehr_behind")
        await again(hospital)
        await hospital.until("done", reason=None)
        assert [note["status"] for note in await every_note(hospital)] == ["current"]


async def test_case_14_that_word_is_taken_about_the_resource_in_the_detail_alone(tmp_path: Path) -> None:
    """The Encounter that names patient 2 is one that a copy does not show yet, whatever becomes of the Media."""
    async with open_hospital(tmp_path, notes={"incomplete_wait": 0.2}) as hospital:
        encounter, media = await hospital.admit(), await hospital.record()
        await hospital.tell({**encounter, "subject": {"reference": "Patient/p2"}, **AHEAD})
        await hospital.tell({**media, "subject": {"reference": "Patient/p2"}, **AHEAD})
        first = await hospital.until("parked", reason="ehr_behind")
        await again(hospital)
        second = await hospital.until("parked", reason="ehr_behind")
        assert {("Media/m1" in visit["detail"]) for visit in (first, second)} == {True, False}
        assert await nothing_left_the_house(hospital)
