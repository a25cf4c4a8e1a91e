"""What is filed follows the facts: withdrawn, replaced, or another patient's recordings take their note back."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import REGISTRY

from tests.journey.hospital import Hospital, open_hospital


async def filed(hospital: Hospital) -> tuple[dict, dict]:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("done")
    return encounter, media


async def test_a_recording_entered_in_error_takes_its_note_back(hospital: Hospital) -> None:
    _, media = await filed(hospital)
    await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert [n["status"] for n in await hospital.notes()] == ["entered-in-error"]


async def test_a_deleted_recording_takes_its_note_back(hospital: Hospital) -> None:
    _, media = await filed(hospital)
    await hospital.delete(f"Media/{media['id']}")
    await hospital.tell({"resourceType": "Media", "id": media["id"]}, operation="delete")
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert [n["status"] for n in await hospital.notes()] == ["entered-in-error"]


async def test_an_encounter_entered_in_error_takes_its_note_back(hospital: Hospital) -> None:
    encounter, _ = await filed(hospital)
    await hospital.tell(await hospital.put({**encounter, "status": "entered-in-error"}))
    await hospital.until("cancelled", reason="encounter_entered_in_error")
    assert [n["status"] for n in await hospital.notes()] == ["entered-in-error"]


async def test_an_encounter_cancelled_after_filing_is_a_persons_decision(hospital: Hospital) -> None:
    encounter, _ = await filed(hospital)
    await hospital.tell(await hospital.put({**encounter, "status": "cancelled"}))
    await hospital.until("parked", reason="encounter_cancelled_after_filing")
    assert [n["status"] for n in await hospital.notes()] == ["current"]


async def test_an_encounter_cancelled_before_filing_ends_the_visit(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit(status="cancelled"), await hospital.record())
    await hospital.until("cancelled", reason="encounter_cancelled")
    assert await hospital.notes() == []


async def test_a_second_recording_after_filing_replaces_the_note(hospital: Hospital) -> None:
    await filed(hospital)
    await hospital.tell(await hospital.record("m2", turns=[("patient", "My knee hurts as well.")]))
    await hospital.until("done")
    old, new = await hospital.notes()
    assert (old["status"], new["status"]) == ("superseded", "current")
    assert new["relatesTo"] == [{"code": "replaces", "target": {"reference": f"DocumentReference/{old['id']}"}}]


async def test_a_note_that_a_clinician_edited_is_left_for_a_person(hospital: Hospital) -> None:
    _, media = await filed(hospital)
    (note,) = await hospital.notes()
    await hospital.put({**note, "docStatus": "final"})
    await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
    await hospital.until("parked", reason="note_edited")
    assert [n["status"] for n in await hospital.notes()] == ["current"]


async def test_another_patients_recording_is_never_filed_and_raises_an_alarm(hospital: Hospital) -> None:
    alarms = REGISTRY.get_sample_value("ambient_subject_mismatch_total")
    encounter = await hospital.admit(patient="p1")
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    await hospital.tell(encounter, await hospital.record(patient="p2"))
    await hospital.until("parked", reason="subject_mismatch")
    assert await hospital.notes() == []
    assert REGISTRY.get_sample_value("ambient_subject_mismatch_total") == alarms + 1


async def test_a_recording_that_turns_out_to_be_another_patients_takes_its_note_back(hospital: Hospital) -> None:
    _, media = await filed(hospital)
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    await hospital.tell(await hospital.put({**media, "subject": {"reference": "Patient/p2"}}))
    await hospital.until("parked", reason="subject_mismatch")
    assert [n["status"] for n in await hospital.notes()] == ["entered-in-error"]


async def test_a_visit_whose_patient_changed_is_retracted_and_never_filed_again_by_itself(hospital: Hospital) -> None:
    encounter, media = await filed(hospital)
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    await hospital.tell(
        await hospital.put({**media, "subject": {"reference": "Patient/p2"}}),
        await hospital.put({**encounter, "subject": {"reference": "Patient/p2"}}),
    )
    await hospital.until("parked", reason="subject_changed")
    assert [n["status"] for n in await hospital.notes()] == ["entered-in-error"]


async def test_the_ehr_decides_whose_chart_it_is_not_the_queue(hospital: Hospital) -> None:
    """The event says patient 1; by the time of filing the EHR says patient 2."""
    encounter, media = await hospital.admit(patient="p1"), await hospital.record(patient="p1")
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    await hospital.put({**encounter, "subject": {"reference": "Patient/p2"}})
    await hospital.tell(encounter, media)
    await hospital.until("parked", reason="subject_mismatch")
    assert await hospital.notes() == []


async def test_a_merged_patient_stops_the_note(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    link = [{"other": {"reference": "Patient/p9"}, "type": "replaced-by"}]
    await hospital.put({"resourceType": "Patient", "id": "p1", "active": False, "link": link})
    await hospital.tell(encounter, media)
    await hospital.until("parked", reason="patient_merged")
    assert await hospital.notes() == []


async def test_a_recording_moved_to_another_visit_leaves_nothing_behind(hospital: Hospital) -> None:
    _, media = await filed(hospital)
    other = await hospital.admit("e2")
    await hospital.tell(other, await hospital.put({**media, "encounter": {"reference": "Encounter/e2"}}))
    await hospital.until("done", "Encounter/e2")
    await hospital.until("cancelled", "Encounter/e1", reason="recordings_withdrawn")
    assert [n["status"] for n in await hospital.notes("e1")] == ["entered-in-error"]
    assert [n["status"] for n in await hospital.notes("e2")] == ["current"]


async def test_changed_templates_do_not_take_back_what_was_filed(tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        await filed(hospital)
    async with open_hospital(tmp_path, notes={"templates": ["corti-patient-summary"]}) as hospital:
        await hospital.house.visits.retry_visit("Encounter/e1")
        hospital.house.wake.set()
        await hospital.until("done")
        notes = await hospital.notes()
        assert [n["status"] for n in notes] == ["current", "current"]
