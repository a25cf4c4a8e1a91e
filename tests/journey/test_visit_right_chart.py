"""The EHR decides whose chart it is, whatever version an event claims; and what is restored gets a note again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.journey.hospital import COUGH, Hospital, open_hospital


async def two_patients(hospital: Hospital) -> None:
    for patient in ("p1", "p2"):
        await hospital.put({"resourceType": "Patient", "id": patient})


async def test_an_event_alone_withdraws_nothing_that_the_ehr_still_has(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("done")
    for said in (
        {**media, "status": "entered-in-error", "meta": {"versionId": "8"}},
        {**media, "subject": {"reference": "Patient/p2"}, "meta": {"versionId": "9"}},
        {**encounter, "status": "entered-in-error", "meta": {"versionId": "99"}},
    ):
        await hospital.tell(said)
        await hospital.until("waiting", reason="ehr_behind")
    assert [n["status"] for n in await hospital.notes()] == ["current"]


async def test_versions_that_come_in_any_order_end_with_the_last_one(hospital: Hospital) -> None:
    first = await hospital.record()
    await hospital.tell(await hospital.admit(), first)
    await hospital.until("done")
    second = await hospital.put({**first, "status": "entered-in-error"})
    third = await hospital.put({**second, "status": "completed"})
    await hospital.tell(third, second)
    await hospital.until("done")
    assert (await hospital.notes())[-1]["status"] == "current"


async def test_a_corrected_content_type_is_news(hospital: Hospital) -> None:
    image = await hospital.record(content={"contentType": "image/jpeg", "url": "Binary/b-m1"})
    await hospital.tell(await hospital.admit(), image)
    await hospital.until("done", reason="no_recording")
    sound = await hospital.put({**image, "content": {"contentType": "audio/ogg", "url": "Binary/b-m1"}})
    await hospital.tell(sound)
    await hospital.until("done", reason=None)
    assert len(await hospital.notes()) == 1


async def test_a_pointer_to_a_media_that_the_ehr_does_not_show_yet_waits(hospital: Hospital) -> None:
    pointer = {"payload": {"operationType": "CREATE", "resourceId": "Media/m9", "payloadId": "Media/m9/_history/1"}}
    await hospital.publish(json.dumps(pointer).encode())
    await hospital.until("waiting", "Media/m9", reason="not_in_ehr")
    await hospital.admit()
    await hospital.record("m9")
    await hospital.house.visits.retry_visit("Media/m9")
    hospital.house.wake.set()
    await hospital.until("done", "Encounter/e1")
    assert len(await hospital.notes()) == 1


async def test_a_subject_that_disappears_takes_the_note_with_it(hospital: Hospital) -> None:
    encounter = await hospital.admit()
    await hospital.tell(encounter, await hospital.record())
    await hospital.until("done")
    await hospital.tell(await hospital.put({name: value for name, value in encounter.items() if name != "subject"}))
    await hospital.until("waiting", reason="encounter_without_subject")
    assert [n["status"] for n in await hospital.notes()] == ["entered-in-error"]


async def test_an_event_that_names_another_patient_than_the_ehr_files_nothing_for_that_patient(
    hospital: Hospital,
) -> None:
    await two_patients(hospital)
    encounter = await hospital.admit(patient="p1")
    media = await hospital.record()
    media = await hospital.put({name: value for name, value in media.items() if name != "subject"})
    await hospital.tell({**encounter, "subject": {"reference": "Patient/p2"}}, media)
    await hospital.until("done")
    assert [n["subject"]["reference"] for n in await hospital.notes()] == ["Patient/p1"]


async def test_an_event_cannot_complete_what_the_ehr_calls_an_error(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put({**media, "status": "entered-in-error"})
    await hospital.tell(encounter, {**media, "meta": {"versionId": "2"}})
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert await hospital.notes() == []


async def test_an_event_cannot_keep_a_finished_encounter_open(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell({**encounter, "status": "in-progress"}, media)
    await hospital.until("done")
    assert len(await hospital.notes()) == 1


async def test_a_recording_that_moved_in_the_ehr_is_filed_where_it_is_now(hospital: Hospital) -> None:
    first, _ = await hospital.admit("e1"), await hospital.admit("e2")
    media = await hospital.record(encounter="e1")
    moved = await hospital.put({**media, "encounter": {"reference": "Encounter/e2"}})
    await hospital.tell(first, media)
    await hospital.until("done", "Encounter/e2")
    await hospital.tell(moved)
    assert await hospital.notes("e1") == []
    (note,) = await hospital.notes("e2")
    assert note["context"]["encounter"] == [{"reference": "Encounter/e2"}]


async def test_a_recording_that_is_restored_gets_a_note_again(hospital: Hospital) -> None:
    media = await hospital.record()
    await hospital.tell(await hospital.admit(), media)
    await hospital.until("done")
    wrong = await hospital.put({**media, "status": "entered-in-error"})
    await hospital.tell(wrong)
    await hospital.until("cancelled")
    await hospital.tell(await hospital.put({**wrong, "status": "completed"}))
    await hospital.until("done")
    assert [n["status"] for n in await hospital.notes()] == ["entered-in-error", "current"]


async def test_a_second_recording_that_is_withdrawn_brings_the_first_note_back_anew(hospital: Hospital) -> None:
    first = await hospital.record("m1")
    await hospital.tell(await hospital.admit(), first)
    await hospital.until("done")
    second = await hospital.record("m2", turns=[("patient", "My knee hurts as well.")])
    await hospital.tell(second)
    await hospital.until("done")
    await hospital.tell(await hospital.put({**second, "status": "entered-in-error"}))
    await hospital.until("done")
    notes = await hospital.notes()
    assert [n["status"] for n in notes] == ["superseded", "entered-in-error", "current"]
    assert notes[2]["context"]["related"] == [{"reference": "Media/m1"}]


async def test_an_edited_note_does_not_keep_the_others_standing(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, notes={"templates": ["corti-soap", "corti-patient-summary"]}) as hospital:
        await two_patients(hospital)
        media = await hospital.record()
        await hospital.tell(await hospital.admit(), media)
        await hospital.until("done")
        signed, untouched = await hospital.notes()
        await hospital.put({**signed, "docStatus": "final"})
        await hospital.tell(await hospital.put({**media, "subject": {"reference": "Patient/p2"}}))
        visit = await hospital.until("parked", reason="subject_mismatch")
        assert [n["status"] for n in await hospital.notes()] == ["current", "entered-in-error"]
        assert f"DocumentReference/{signed['id']}" in visit["detail"]
        assert untouched["status"] == "current"


@pytest.mark.parametrize("subject", ["https://other.example/fhir/Patient/1", "Group/g1"])
async def test_a_subject_that_is_no_patient_of_ours_any_more_takes_the_note_back(
    hospital: Hospital, subject: str
) -> None:
    alarms = REGISTRY.get_sample_value("ambient_subject_mismatch_total")
    encounter = await hospital.admit()
    await hospital.tell(encounter, await hospital.record())
    await hospital.until("done")
    await hospital.tell(await hospital.put({**encounter, "subject": {"reference": subject}}))
    await hospital.until("parked")
    assert [n["status"] for n in await hospital.notes()] == ["entered-in-error"]
    assert REGISTRY.get_sample_value("ambient_subject_mismatch_total") == alarms + 1


async def test_a_corrected_subject_gets_its_note_again(hospital: Hospital) -> None:
    await two_patients(hospital)
    media = await hospital.record(turns=COUGH)
    await hospital.tell(await hospital.admit(), media)
    await hospital.until("done")
    wrong = await hospital.put({**media, "subject": {"reference": "Patient/p2"}})
    await hospital.tell(wrong)
    await hospital.until("parked", reason="subject_mismatch")
    await hospital.tell(await hospital.put({**wrong, "subject": {"reference": "Patient/p1"}}))
    await hospital.until("done")
    assert [n["status"] for n in await hospital.notes()] == ["entered-in-error", "current"]


async def test_an_image_is_no_recording(hospital: Hospital) -> None:
    image = await hospital.record(content={"contentType": "image/jpeg", "url": "Binary/b-m1"})
    await hospital.tell(await hospital.admit(), image)
    await hospital.until("done", reason="no_recording")


async def test_an_event_that_deletes_one_of_two_recordings_which_the_ehr_still_has_changes_nothing(
    tmp_path: Path,
) -> None:
    async with open_hospital(tmp_path, notes={"incomplete_wait": 0.2}) as hospital:
        first, second = await hospital.record(), await hospital.record("m2", turns=[("patient", "My knee hurts too.")])
        await hospital.tell(await hospital.admit(), first, second)
        await hospital.until("done")
        await hospital.tell({"resourceType": "Media", "id": "m2"}, operation="delete")
        await hospital.until("done")
        (note,) = await hospital.notes()
        assert (note["status"], len(note["context"]["related"])) == ("current", 2)


async def test_a_note_in_a_wrong_chart_is_taken_back_although_its_encounter_was_cancelled(hospital: Hospital) -> None:
    await two_patients(hospital)
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("done")
    cancelled = await hospital.put({**encounter, "status": "cancelled"})
    moved = await hospital.put({**media, "subject": {"reference": "Patient/p2"}})
    alarms = REGISTRY.get_sample_value("ambient_subject_mismatch_total") or 0.0
    await hospital.tell(cancelled, moved)
    await hospital.until("parked", reason="subject_mismatch")
    assert [n["status"] for n in await hospital.notes()] == ["entered-in-error"]
    assert (REGISTRY.get_sample_value("ambient_subject_mismatch_total") or 0.0) > alarms
