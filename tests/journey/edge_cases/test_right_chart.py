"""Wrong patient is the one error that must be impossible: merged, gone and other patients, outdated readings, test data."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.journey.edge_cases.ehr_at_the_wire import (
    Meanwhile,
    again,
    answer_for_the_ehr,
    answering,
    every_note,
    nothing_left_the_house,
    showing,
)
from tests.journey.hospital import Hospital, Json, open_hospital

MERGED = {
    "resourceType": "Patient",
    "id": "p1",
    "link": [{"other": {"reference": "Patient/p9"}, "type": "replaced-by"}],
}
TEST_LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}


def alarms() -> float:
    return REGISTRY.get_sample_value("ambient_subject_mismatch_total") or 0.0


async def before_filing(hospital: Hospital, *resources: Json, gone: str | None = None) -> None:
    """A visit whose EHR changes after its transcript is there and before its note is filed."""
    encounter, media = await hospital.admit(), await hospital.record()

    async def change() -> None:
        for resource in resources:
            await hospital.put(resource)
        if gone:
            await hospital.delete(gone)

    hospital.house.ambient = Meanwhile(hospital.house.ambient, "create_document", change)
    await hospital.tell(encounter, media)


async def test_case_10_a_deleted_recording_gets_no_note(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.delete("Media/m1")
    await hospital.tell(encounter, media)
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert await nothing_left_the_house(hospital)


async def test_case_10_a_recording_deleted_before_filing_gets_none_either(hospital: Hospital) -> None:
    await before_filing(hospital, gone="Media/m1")
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert await every_note(hospital) == []


async def test_case_10_a_recording_that_the_ehr_does_not_show_is_awaited_then_parked(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, notes={"incomplete_wait": 0.2}) as hospital:
        encounter, media = await hospital.admit(), await hospital.record()
        answer_for_the_ehr(hospital, answering("GET", "Media/m1", 404))
        await hospital.tell(encounter, media)
        await hospital.until("parked", reason="not_in_ehr")
        assert await nothing_left_the_house(hospital)


async def test_case_10_a_deletion_that_a_lagging_copy_does_not_show_yet_withdraws_the_note(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("done")
    await hospital.delete("Media/m1")
    plain = hospital.house.ehr
    answer_for_the_ehr(hospital, showing(media))
    await hospital.tell({"resourceType": "Media", "id": "m1"}, operation="delete")
    await hospital.until("waiting", reason="ehr_behind")
    hospital.house.ehr = plain
    await again(hospital)
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert [note["status"] for note in await hospital.notes()] == ["entered-in-error"]


async def test_case_13_of_a_patient_who_was_merged_nothing_leaves_the_house(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put(MERGED)
    await hospital.tell(encounter, media)
    await hospital.until("parked", reason="patient_merged")
    assert await nothing_left_the_house(hospital)


async def test_case_13_a_patient_merged_before_filing_gets_no_note(hospital: Hospital) -> None:
    await before_filing(hospital, MERGED)
    await hospital.until("parked", reason="patient_merged")
    assert await every_note(hospital) == []


async def test_case_13_nor_one_whose_old_id_is_gone(hospital: Hospital) -> None:
    await before_filing(hospital, gone="Patient/p1")
    await hospital.until("parked", reason="patient_gone")
    assert await every_note(hospital) == []


async def test_case_13_nor_one_whose_old_id_is_not_found(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, notes={"incomplete_wait": 0.2}) as hospital:
        answer_for_the_ehr(hospital, answering("GET", "Patient/p1", 404))
        encounter = await hospital.house.ehr.update({"resourceType": "Patient", "id": "p1"}, None) and {
            "resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"code": "AMB"},
            "subject": {"reference": "Patient/p1"},
        }  # fmt: skip
        await hospital.tell(await hospital.put(encounter), await hospital.record())
        await hospital.until("parked", reason="not_in_ehr")
        assert await nothing_left_the_house(hospital)


async def test_case_13_nor_one_for_whom_the_ehr_answers_with_another(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    survivor = {"resourceType": "Patient", "id": "p9", "active": True}
    answer_for_the_ehr(hospital, answering("GET", "Patient/p1", 200, json=survivor))
    await hospital.tell(encounter, media)
    await hospital.until("parked", reason="ehr_answered_another_resource")
    assert await nothing_left_the_house(hospital)


async def test_case_13_nor_one_for_whom_the_ehr_points_elsewhere(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put({"resourceType": "Patient", "id": "p9", "active": True})
    there = f"{hospital.house.ehr.base_url}/Patient/p9"
    answer_for_the_ehr(hospital, answering("GET", "Patient/p1", 301, headers={"Location": there}))
    await hospital.tell(encounter, media)
    await hospital.until("parked")
    assert await nothing_left_the_house(hospital)


async def test_case_13_a_record_that_is_not_in_use_is_for_a_person(hospital: Hospital) -> None:
    await before_filing(hospital, {"resourceType": "Patient", "id": "p1", "active": False})
    await hospital.until("parked", reason="patient_inactive")
    assert await every_note(hospital) == []


@pytest.mark.parametrize("kind", ["replaces", "seealso", "refer"])
async def test_case_13_the_record_that_others_were_merged_into_gets_its_note(hospital: Hospital, kind: str) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    link = [{"other": {"reference": "Patient/p0"}, "type": kind}]
    await hospital.put({"resourceType": "Patient", "id": "p1", "active": True, "link": link})
    await hospital.tell(encounter, media)
    await hospital.until("done")
    assert [note["subject"]["reference"] for note in await hospital.notes()] == ["Patient/p1"]


async def test_case_13_an_encounter_that_follows_the_merge_is_not_filed_by_itself(hospital: Hospital) -> None:
    before = alarms()
    await hospital.put({"resourceType": "Patient", "id": "p9"})
    encounter = {"resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"code": "AMB"}}
    media = {"resourceType": "Media", "id": "m1", "status": "completed", "encounter": {"reference": "Encounter/e1"}}
    recorded = {
        "createdDateTime": "2026-01-05T09:00:00Z",
        "content": {"contentType": "audio/ogg", "url": "Binary/b-m1"},
    }
    survivor = {"subject": {"reference": "Patient/p9"}}
    await before_filing(hospital, MERGED, {**encounter, **survivor}, {**media, **recorded, **survivor})
    await hospital.until("parked", reason="subject_changed")
    assert await every_note(hospital) == []
    assert alarms() == before + 1


async def test_case_13_a_merge_found_before_anything_was_sent_goes_on_with_the_new_record(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put(MERGED)
    await hospital.tell(encounter, media)
    await hospital.until("parked", reason="patient_merged")
    await hospital.put({"resourceType": "Patient", "id": "p9", "active": True})
    survivor = {"subject": {"reference": "Patient/p9"}}
    await hospital.tell(await hospital.put({**encounter, **survivor}), await hospital.put({**media, **survivor}))
    await hospital.until("done")
    assert [note["subject"]["reference"] for note in await every_note(hospital)] == ["Patient/p9"]


async def test_case_14_another_patients_recording_never_leaves_the_house(hospital: Hospital) -> None:
    before = alarms()
    encounter = await hospital.admit(patient="p1")
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    await hospital.tell(encounter, await hospital.record(patient="p2"))
    await hospital.until("parked", reason="subject_mismatch")
    assert await nothing_left_the_house(hospital)
    assert alarms() == before + 1


async def test_case_14_a_recording_that_only_the_ehr_knows_to_be_anothers_never_leaves_the_house(
    hospital: Hospital,
) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    await hospital.put({**media, "subject": {"reference": "Patient/p2"}})
    await hospital.tell(encounter, media)
    await hospital.until("parked", reason="subject_mismatch")
    assert await nothing_left_the_house(hospital)


async def test_case_14_an_encounter_that_changes_patients_while_its_note_is_drafted_is_not_filed(
    hospital: Hospital,
) -> None:
    before = alarms()
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    encounter, media = await hospital.admit(), await hospital.record()
    media = await hospital.put({name: value for name, value in media.items() if name != "subject"})
    hospital.house.ambient = Meanwhile(
        hospital.house.ambient,
        "create_document",
        lambda: hospital.put({**encounter, "subject": {"reference": "Patient/p2"}}),
    )
    await hospital.tell(encounter, media)
    await hospital.until("parked", reason="subject_changed")
    assert await every_note(hospital) == []
    assert alarms() == before + 1


async def test_case_14_one_of_two_recordings_that_is_anothers_keeps_the_whole_note_back(hospital: Hospital) -> None:
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    ours, anothers = await hospital.record("m1"), await hospital.record("m2", patient="p2", status="in-progress")
    await hospital.tell(await hospital.admit(), anothers, ours)
    await hospital.until("parked", reason="subject_mismatch")
    assert await nothing_left_the_house(hospital)


async def test_case_14_the_patient_of_yesterday_is_not_taken_from_a_lagging_copy(hospital: Hospital) -> None:
    """The event names patient 2; the copy that answers still has patient 1."""
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    old = await hospital.admit(patient="p1")
    new = await hospital.put({**old, "subject": {"reference": "Patient/p2"}})
    media = await hospital.record()
    media = await hospital.put({name: value for name, value in media.items() if name != "subject"})
    plain = hospital.house.ehr
    answer_for_the_ehr(hospital, showing(old))
    await hospital.tell(new, media)
    await hospital.until("waiting", reason="ehr_behind")
    assert await nothing_left_the_house(hospital)
    hospital.house.ehr = plain
    await again(hospital)
    await hospital.until("done")
    assert [note["subject"]["reference"] for note in await hospital.notes()] == ["Patient/p2"]


async def test_case_14_a_copy_that_never_catches_up_is_for_a_person(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, notes={"incomplete_wait": 0.2}) as hospital:
        old = await hospital.admit()
        new = await hospital.put({**old, "status": "cancelled"})
        media = await hospital.record()
        answer_for_the_ehr(hospital, showing(old))
        await hospital.tell(new, media)
        visit = await hospital.until("parked", reason="ehr_behind")
        assert "Encounter/e1" in visit["detail"]
        assert await nothing_left_the_house(hospital)


async def test_case_14_an_older_version_that_says_the_same_keeps_nobody_waiting(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell({**encounter, "meta": {"versionId": "41", "lastUpdated": "2099-01-05T09:00:00Z"}}, media)
    await hospital.until("done")


async def test_case_14_a_server_that_numbers_anew_is_believed(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    told = {**encounter, "status": "in-progress", "meta": {"versionId": "41", "lastUpdated": "2020-01-05T09:00:00Z"}}
    await hospital.tell(told, media)
    await hospital.until("done")


@pytest.mark.parametrize("of", ["Encounter", "Media"])
async def test_case_14_an_identifier_that_becomes_anothers_while_the_note_is_drafted_files_nothing(
    hospital: Hospital, of: str
) -> None:
    before, mrn = alarms(), {"system": "urn:mrn", "value": "7"}
    resources = {"Encounter": await hospital.admit(), "Media": await hospital.record()}
    await hospital.put({"resourceType": "Patient", "id": "p1", "active": True, "identifier": [mrn]})
    resources[of] = await hospital.put({**resources[of], "subject": {"type": "Patient", "identifier": mrn}})
    if of == "Encounter":
        media = {name: value for name, value in resources["Media"].items() if name != "subject"}
        resources["Media"] = await hospital.put(media)

    async def correct() -> None:
        await hospital.put({"resourceType": "Patient", "id": "p1", "active": True})
        await hospital.put({"resourceType": "Patient", "id": "p2", "active": True, "identifier": [mrn]})

    hospital.house.ambient = Meanwhile(hospital.house.ambient, "create_document", correct)
    await hospital.tell(*resources.values())
    await hospital.until("parked", reason="subject_changed" if of == "Encounter" else "subject_mismatch")
    assert await every_note(hospital) == []
    assert alarms() == before + 1


@pytest.mark.parametrize(
    "told", [{}, {"meta": {"versionId": "41", "lastUpdated": "2099-01-05T09:00:00Z"}}], ids=["", "ahead"]
)
async def test_case_14_nor_does_one_that_becomes_another_encounters(hospital: Hospital, told: Json) -> None:
    number = {"system": "urn:visits", "value": "7"}
    encounter, media = await hospital.admit(identifier=[number]), await hospital.record()
    media = await hospital.put({**media, "encounter": {"identifier": number}})

    async def correct() -> None:
        await hospital.put({name: value for name, value in encounter.items() if name != "identifier"})
        await hospital.admit("e2", identifier=[number])

    hospital.house.ambient = Meanwhile(hospital.house.ambient, "create_document", correct)
    await hospital.tell(encounter, {**media, **told})
    await hospital.until("done", "Encounter/e2", seconds=20)
    assert [note["context"]["encounter"] for note in await every_note(hospital)] == [[{"reference": "Encounter/e2"}]]


@pytest.mark.parametrize("place", ["security", "tag"])
async def test_case_56_a_note_about_test_data_says_so(hospital: Hospital, place: str) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put({"resourceType": "Patient", "id": "p1", "active": True, "meta": {place: [TEST_LABEL]}})
    await hospital.tell(encounter, media)
    await hospital.until("done")
    (note,) = await hospital.notes()
    assert [label["code"] for label in note["meta"]["security"]] == ["AIAST", "HTEST"]


async def test_case_56_a_real_note_does_not(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("done")
    (note,) = await hospital.notes()
    assert [label["code"] for label in note["meta"]["security"]] == ["AIAST"]
