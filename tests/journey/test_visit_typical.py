"""A recorded visit becomes one draft note in the EHR, whatever the order in which its events come."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.journey.hospital import Hospital, open_hospital


def text_of(note: dict) -> str:
    return base64.b64decode(note["content"][0]["attachment"]["data"]).decode()


async def test_encounter_then_media_files_one_note_in_the_right_chart(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("done")
    (note,) = await hospital.notes()
    assert note["subject"] == {"reference": "Patient/p1"}
    assert note["context"]["encounter"] == [{"reference": "Encounter/e1"}]
    assert note["context"]["related"] == [{"reference": "Media/m1"}]
    assert note["status"] == "current"
    assert note["docStatus"] == "preliminary"
    assert note["type"]["coding"] == [{"system": "http://loinc.org", "code": "11506-3"}]
    assert note["meta"]["security"][0]["code"] == "AIAST"
    assert text_of(note).startswith("AI-drafted")
    assert "cough for ten days" in text_of(note)
    assert "500 mg" in text_of(note)


async def test_media_before_its_encounter_ends_the_same(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(media, encounter)
    await hospital.until("done")
    assert len(await hospital.notes()) == 1


async def test_an_encounter_without_a_recording_needs_nothing_until_one_comes(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit())
    visit = await hospital.until("done", reason="no_recording")
    assert visit["nextAt"] is None
    assert visit["steps"] == []
    await hospital.tell(await hospital.record())
    await hospital.until("done", reason=None)
    assert len(await hospital.notes()) == 1


async def test_the_same_events_again_leave_one_note(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media, media, encounter)
    before = await hospital.until("done")
    await hospital.tell(media, encounter)
    await hospital.tell({**media, "meta": {**media["meta"], "versionId": "7"}})
    after = await hospital.until("done")
    assert len(await hospital.notes()) == 1
    assert [s["name"] for s in after["steps"]] == [s["name"] for s in before["steps"]]
    assert all(s["attempts"] == 1 for s in after["steps"])


async def test_an_older_version_that_comes_late_changes_nothing(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    newer = await hospital.put({**media, "deviceName": "recorder"})
    await hospital.tell(encounter, newer)
    await hospital.until("done")
    await hospital.tell({**media, "status": "entered-in-error"})
    visit = await hospital.until("done")
    assert [f["version"] for f in visit["facts"] if f["resource"] == "Media/m1"] == ["2"]
    assert (await hospital.notes())[0]["status"] == "current"


async def test_several_recordings_make_one_note_in_the_order_they_were_made(hospital: Hospital) -> None:
    encounter = await hospital.admit()
    second = await hospital.record(
        "m2", turns=[("patient", "My knee hurts as well.")], createdDateTime="2026-01-05T09:30:00Z"
    )
    first = await hospital.record("m1")
    await hospital.tell(second, first)
    await hospital.tell(await hospital.put({**encounter, "status": "finished"}))
    await hospital.until("done")
    (note,) = await hospital.notes()
    assert note["context"]["related"] == [{"reference": "Media/m1"}, {"reference": "Media/m2"}]
    assert text_of(note).index("cough") < text_of(note).index("knee")


async def test_each_template_gives_one_document(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, notes={"templates": ["corti-soap", "corti-patient-summary"]}) as hospital:
        await hospital.tell(await hospital.admit(), await hospital.record())
        await hospital.until("done")
        notes = await hospital.notes()
        assert {n["type"]["coding"][0]["code"] for n in notes} == {"11506-3", "69730-0"}


async def test_a_visit_waits_for_its_encounter_to_finish(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(status="in-progress"), await hospital.record()
    await hospital.tell(encounter, media)
    visit = await hospital.until("waiting", reason="encounter_not_finished")
    assert any(s["name"].startswith("transcribed:") and s["finishedAt"] for s in visit["steps"]), (
        "transcribes meanwhile"
    )
    await hospital.tell(await hospital.put({**encounter, "status": "finished"}))
    await hospital.until("done")
    assert len(await hospital.notes()) == 1


async def test_media_completed_does_not_wait_for_the_encounter(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, notes={"trigger": "media_completed"}) as hospital:
        await hospital.admit(status="in-progress")
        await hospital.tell(await hospital.record())
        await hospital.until("done")
        assert len(await hospital.notes()) == 1


async def test_without_an_encounter_event_the_ehr_is_asked(hospital: Hospital) -> None:
    await hospital.admit()
    await hospital.tell(await hospital.record())
    await hospital.until("done")
    assert len(await hospital.notes()) == 1


async def test_every_sentence_of_the_note_points_to_what_was_said(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record())
    visit = await hospital.until("done")
    document = next(s["result"] for s in visit["steps"] if s["name"].startswith("document:"))
    transcript = next(s["result"]["id"] for s in visit["steps"] if s["name"].startswith("transcribed:"))
    assert document["evidence"]["corti-subjective"], "something was said about it"
    for sentences in document["evidence"].values():
        for segments in sentences:
            assert segments
            assert set(segments) <= {f"{transcript}#s{n}" for n in range(3)}
