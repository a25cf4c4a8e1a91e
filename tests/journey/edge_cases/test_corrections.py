"""What changes before, during and after filing, and who has the last word about the note that stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from service.workflow.ports import Transcript
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

KNEE = [("patient", "My knee hurts as well.")]


async def filed(hospital: Hospital) -> tuple[Json, Json]:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("done")
    return encounter, media


def statuses(notes: list[Json]) -> list[str]:
    return [note["status"] for note in notes]


def draft_then(hospital: Hospital, resource: Json) -> None:
    """The EHR changes while the note is drafted, and no event tells of it in time."""
    engine = hospital.house.ambient
    hospital.house.ambient = Meanwhile(engine, "create_document", lambda: hospital.put(resource))


async def test_case_08_a_second_recording_after_filing_makes_a_note_that_replaces_the_first(hospital: Hospital) -> None:
    await filed(hospital)
    await hospital.tell(await hospital.record("m2", turns=KNEE))
    await hospital.until("done")
    old, new = await hospital.notes()
    assert statuses([old, new]) == ["superseded", "current"]
    assert new["relatesTo"][0]["target"] == {"reference": f"DocumentReference/{old['id']}"}
    assert len(new["context"]["related"]) == 2


async def test_case_09_a_recording_entered_in_error_before_filing_gets_no_note(hospital: Hospital) -> None:
    media = await hospital.record()
    await hospital.tell(await hospital.admit(), await hospital.put({**media, "status": "entered-in-error"}))
    await hospital.until("cancelled")
    assert await nothing_left_the_house(hospital)


async def test_case_09_nor_one_entered_in_error_while_its_note_is_drafted(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    draft_then(hospital, {**media, "status": "entered-in-error"})
    await hospital.tell(encounter, media)
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert await every_note(hospital) == []


async def test_case_09_one_entered_in_error_after_filing_takes_its_note_back(hospital: Hospital) -> None:
    _, media = await filed(hospital)
    await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert statuses(await every_note(hospital)) == ["entered-in-error"]


async def test_case_09_a_correction_that_a_lagging_copy_does_not_show_yet_is_not_lost(hospital: Hospital) -> None:
    _, media = await filed(hospital)
    wrong = await hospital.put({**media, "status": "entered-in-error"})
    plain = hospital.house.ehr
    answer_for_the_ehr(hospital, showing(media))
    await hospital.tell(wrong)
    await hospital.until("waiting", reason="ehr_behind")
    hospital.house.ehr = plain
    await again(hospital)
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert statuses(await every_note(hospital)) == ["entered-in-error"]


@pytest.mark.parametrize("status", ["preparation", "in-progress", "on-hold", "unknown"])
async def test_case_09_a_recording_that_is_under_way_is_awaited(hospital: Hospital, status: str) -> None:
    encounter, media = await hospital.admit(), await hospital.record(status=status)
    await hospital.tell(encounter, media)
    await hospital.until("waiting", reason="recording_in_progress")
    assert await nothing_left_the_house(hospital)
    await hospital.tell(await hospital.put({**media, "status": "completed"}))
    await hospital.until("done")


async def test_case_09_a_recording_that_was_not_made_gets_no_note(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record(status="not-done"))
    await hospital.until("done", reason="no_recording")
    assert await nothing_left_the_house(hospital)


async def test_case_09_one_that_was_stopped_gets_a_note_of_what_there_is(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record(status="stopped"))
    await hospital.until("done", reason=None)
    assert len(await hospital.notes()) == 1


async def test_case_09_one_that_was_stopped_before_it_began_gets_none(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record(status="stopped", content={"size": 0}))
    await hospital.until("done", reason="no_recording")
    assert await nothing_left_the_house(hospital)


async def test_case_11_an_encounter_cancelled_while_its_note_is_drafted_gets_none(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    draft_then(hospital, {**encounter, "status": "cancelled"})
    await hospital.tell(encounter, media)
    await hospital.until("cancelled", reason="encounter_cancelled")
    assert await every_note(hospital) == []


@pytest.mark.parametrize("status", ["planned", "arrived", "triaged", "in-progress", "onleave", "on-hold", "unknown"])
async def test_case_11_an_encounter_that_goes_on_is_awaited(hospital: Hospital, status: str) -> None:
    encounter = {**await hospital.admit(), "status": status}
    answer_for_the_ehr(hospital, showing(encounter))
    await hospital.tell(encounter, await hospital.record())
    await hospital.until("waiting", reason="encounter_not_finished")
    assert await every_note(hospital) == []


@pytest.mark.parametrize("status", ["finished", "completed", "discharged", "discontinued"])
async def test_case_11_an_encounter_that_is_over_gets_its_note(hospital: Hospital, status: str) -> None:
    encounter = {**await hospital.admit(), "status": status}
    answer_for_the_ehr(hospital, showing(encounter))
    await hospital.tell(encounter, await hospital.record())
    await hospital.until("done")
    assert len(await every_note(hospital)) == 1


async def test_case_11_an_encounter_cancelled_after_filing_is_flagged_for_a_person(hospital: Hospital) -> None:
    encounter, _ = await filed(hospital)
    await hospital.tell(await hospital.put({**encounter, "status": "cancelled"}))
    await hospital.until("parked", reason="encounter_cancelled_after_filing")
    assert statuses(await every_note(hospital)) == ["current"]


async def test_case_12_an_encounter_entered_in_error_takes_its_note_back(hospital: Hospital) -> None:
    encounter, _ = await filed(hospital)
    await hospital.tell(await hospital.put({**encounter, "status": "entered-in-error"}))
    await hospital.until("cancelled", reason="encounter_entered_in_error")
    assert statuses(await every_note(hospital)) == ["entered-in-error"]


async def test_case_12_so_does_one_that_is_deleted(hospital: Hospital) -> None:
    await filed(hospital)
    await hospital.delete("Encounter/e1")
    await hospital.tell({"resourceType": "Encounter", "id": "e1"}, operation="delete")
    await hospital.until("cancelled", reason="encounter_entered_in_error")
    assert statuses(await every_note(hospital)) == ["entered-in-error"]


@pytest.mark.parametrize("refusal", [409, 412])
async def test_case_39_a_note_that_somebody_changed_at_that_moment_is_left_to_a_person(
    hospital: Hospital, http: httpx.AsyncClient, refusal: int
) -> None:
    """Our read came before the clinician's edit, our update after it (412; Oracle answers 409)."""
    _, media = await filed(hospital)
    (note,) = await hospital.notes()
    wrong = await hospital.put({**media, "status": "entered-in-error"})
    answer_for_the_ehr(hospital, answering("PUT", f"DocumentReference/{note['id']}", refusal))
    await hospital.tell(wrong)
    await hospital.until("parked", reason="note_edited")
    shown = (await http.get("/visits", params={"state": "parked"})).json()
    assert [visit["reason"] for visit in shown["visits"]] == ["note_edited"]
    assert statuses(await every_note(hospital)) == ["current"]


@pytest.mark.parametrize("edit", [{"docStatus": "final"}, {"description": "Seen and corrected."}])
async def test_case_39_a_note_that_was_signed_or_edited_before_is_left_to_a_person(
    hospital: Hospital, edit: Json
) -> None:
    _, media = await filed(hospital)
    (note,) = await hospital.notes()
    await hospital.put({**note, **edit})
    await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
    visit = await hospital.until("parked", reason="note_edited")
    assert note["id"] in visit["detail"]
    assert statuses(await every_note(hospital)) == ["current"]


class TellsNobody:
    """An engine whose jobs end without a word: only who looks finds out, and the first looks come too early."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.looks = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def get_transcript(self, interaction: str, transcript: str) -> Transcript | None:
        self.looks += 1
        known: Transcript | None = await self._engine.get_transcript(interaction, transcript)
        if known and self.looks < 3:
            return Transcript(known.id, known.recording_id, "processing", progress=0.5)
        return known


async def test_case_49_a_job_whose_callback_was_lost_is_found_by_looking(hospital: Hospital) -> None:
    hospital.house.ambient = engine = TellsNobody(hospital.house.ambient)
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("done")
    assert engine.looks >= 3
    assert len(await every_note(hospital)) == 1


async def test_case_52_a_redraft_with_another_template_leaves_no_outdated_note_standing(tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        await filed(hospital)
        (old,) = await hospital.notes()
    async with open_hospital(tmp_path, notes={"templates": ["corti-patient-summary"]}) as hospital:
        await hospital.tell(await hospital.record("m2", turns=KNEE))
        await hospital.until("done")
        standing = [note for note in await every_note(hospital) if note["status"] == "current"]
        assert [len(note["context"]["related"]) for note in standing] == [2]
        assert standing[0]["type"] != old["type"]


MRN = {"system": "urn:mrn", "value": "7"}
ELSEWHERE = {"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": "http://x/Patient"}]}


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [(httpx.Response(403, json={}), "ehr_refused"), (httpx.Response(200, json=ELSEWHERE), "ehr_search_incomplete")],
    ids=["refused", "incomplete"],
)
async def test_case_14_a_search_for_the_patient_that_fails_takes_no_note_back(
    hospital: Hospital, refusal: httpx.Response, reason: str
) -> None:
    encounter, media = await hospital.admit(subject={"type": "Patient", "identifier": MRN}), await hospital.record()
    await hospital.put({"resourceType": "Patient", "id": "p1", "active": True, "identifier": [MRN]})
    await hospital.tell(encounter, media)
    await hospital.until("done")
    plain, alarms = hospital.house.ehr, REGISTRY.get_sample_value("ambient_subject_mismatch_total")
    answer_for_the_ehr(hospital, answering("GET", "Patient", refusal.status_code, content=refusal.content))
    await hospital.tell(await hospital.put({**encounter, "priority": {"text": "routine"}}))
    await hospital.until("parked", reason=reason)
    assert statuses(await every_note(hospital)) == ["current"]
    assert REGISTRY.get_sample_value("ambient_subject_mismatch_total") == alarms
    hospital.house.ehr = plain
    await again(hospital)
    await hospital.until("done")
    assert statuses(await every_note(hospital)) == ["current"]


async def engine_forgets(hospital: Hospital) -> None:
    """As after its retention period: recording, transcript and draft are gone, and the EHR's audio with them."""
    taken = {step["name"].partition(":")[0]: step["result"] for step in (await hospital.visit())["steps"]}
    engine, interaction = hospital.house.ambient, taken["interaction"]["id"]
    await engine.delete_document(interaction, taken["document"]["id"])
    await engine.delete_transcript(interaction, taken["transcript"]["id"])
    await engine.delete_recording(interaction, taken["recording"]["id"])
    await hospital.delete("Binary/b-m1")


async def test_case_57_a_retry_after_everything_was_deleted_files_nothing_more(hospital: Hospital) -> None:
    await filed(hospital)
    await engine_forgets(hospital)
    await again(hospital)
    await hospital.until("done")
    assert statuses(await every_note(hospital)) == ["current"]


async def test_case_57_a_redraft_after_everything_was_deleted_never_files_half_a_note(hospital: Hospital) -> None:
    await filed(hospital)
    await engine_forgets(hospital)
    await hospital.tell(await hospital.record("m2", turns=KNEE))
    await hospital.until("parked")
    assert statuses(await every_note(hospital)) == ["current"]
