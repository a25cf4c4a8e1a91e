"""Media and Encounters in every order, number and dialect: one note for each visit, or a reason that a person can act on."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.journey.edge_cases.ehr_at_the_wire import (
    again,
    answer_for_the_ehr,
    every_note,
    nothing_left_the_house,
    showing,
)
from tests.journey.hospital import Hospital, Json, open_hospital

SHORT = {"notes": {"incomplete_wait": 0.05, "max_wait": 0.05}}
LATER = (("doctor", "Anything else?"), ("patient", "My knee hurts."))


def text_of(note: Json) -> str:
    return base64.b64decode(note["content"][0]["attachment"]["data"]).decode()


def ignored(reason: str = "type_not_read") -> float:
    return REGISTRY.get_sample_value("ambient_events_ignored_total", {"reason": reason}) or 0


async def told_of_recording(hospital: Hospital, encounter: str = "e1") -> None:
    """A Media may have to be handed over to its Encounter first, which is done without one until then."""
    for _ in range(200):
        if (await hospital.visit(f"Encounter/{encounter}"))["reason"] != "no_recording":
            return
        await asyncio.sleep(0.02)


async def filed(hospital: Hospital, encounter: str = "e1") -> Json:
    """The visit's one note that stands, once it is done with a recording."""
    await told_of_recording(hospital, encounter)
    await hospital.until("done", f"Encounter/{encounter}")
    (note,) = [note for note in await hospital.notes(encounter) if note["status"] == "current"]
    return note


# --- 1, 2, 5: order ---------------------------------------------------------------------------------------------------


async def test_case_01_a_media_before_its_encounter_waits_for_it(hospital: Hospital) -> None:
    await hospital.tell(await hospital.record())
    visit = await hospital.until("waiting", reason="not_in_ehr")
    assert visit["detail"] == "Encounter/e1"
    await hospital.admit()
    await again(hospital)
    await filed(hospital)


async def test_case_01_an_encounter_that_never_comes_is_parked(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **SHORT) as hospital:
        await hospital.tell(await hospital.record())
        assert "Encounter/e1" in (await hospital.until("parked", reason="not_in_ehr"))["detail"]


async def test_case_02_an_encounter_finished_before_its_media_needs_no_second_event(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit())
    await hospital.until("done", reason="no_recording")
    await hospital.tell(await hospital.record())
    await filed(hospital)


async def test_case_05_a_lower_version_after_a_higher_one_changes_nothing(hospital: Hospital) -> None:
    first = await hospital.admit(status="in-progress")
    await hospital.tell(await hospital.put({**first, "status": "finished"}), await hospital.record())
    note = await filed(hospital)
    await hospital.tell(first)
    await asyncio.sleep(0.1)
    assert (await hospital.visit())["state"] == "done"
    assert [one["id"] for one in await every_note(hospital)] == [note["id"]]
    assert (await hospital.visit())["facts"][0]["version"] == "2"


async def test_case_05_without_versions_the_later_change_counts(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    late, early = "2026-01-05T10:00:00+01:00", "2026-01-05T08:59:59Z"
    await hospital.tell({**encounter, "meta": {"lastUpdated": late}})
    await hospital.tell({**encounter, "status": "cancelled", "meta": {"lastUpdated": early}})
    facts = (await hospital.visit())["facts"]
    assert [fact["status"] for fact in facts] == ["finished"]
    await hospital.tell(media)
    await filed(hospital)


# --- 6, 7: several recordings, several encounters ---------------------------------------------------------------------


async def test_case_06_several_media_are_one_note_in_the_order_of_recording(hospital: Hospital) -> None:
    encounter = await hospital.admit()
    later = await hospital.record("a", turns=LATER, createdDateTime="2026-01-05T09:20:00Z")
    earlier = await hospital.record("b")
    await hospital.tell(later, earlier, encounter)
    note = await filed(hospital)
    assert note["context"]["related"] == [{"reference": "Media/b"}, {"reference": "Media/a"}]
    assert text_of(note).index("cough") < text_of(note).index("knee")
    assert len(await every_note(hospital)) == 1


async def test_case_07_a_media_that_moves_to_another_encounter_is_in_one_note_only(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await filed(hospital)
    other = await hospital.admit("e2")
    moved = await hospital.put({**media, "encounter": {"reference": "Encounter/e2"}})
    await hospital.tell(other, moved)
    await filed(hospital, "e2")
    await hospital.until("cancelled")
    assert [note["status"] for note in await hospital.notes()] == ["entered-in-error"]


async def test_case_07_a_media_that_is_part_of_something_else_stays_its_encounter_s(hospital: Hospital) -> None:
    part_of = [{"reference": "Procedure/of-another-visit"}]
    await hospital.tell(await hospital.admit(), await hospital.record(partOf=part_of))
    await filed(hospital)


# --- 43, 44, 45: dialects and what is not understood ------------------------------------------------------------------


async def test_case_43_elements_that_fhir_does_not_know_are_passed_over(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    vendor = {
        "project": "x",
        "author": {"reference": "Practitioner/y"},
        "compartment": [{"reference": "Patient/p1"}],
        "account": {},
    }
    encounter, media = ({**one, "meta": {**one["meta"], **vendor}, "x_vendor": {"a": 1}} for one in (encounter, media))
    answer_for_the_ehr(hospital, showing(encounter, media))
    await hospital.tell(encounter, media)
    await filed(hospital)


@pytest.mark.parametrize("status", ["entered-in-error", "not-done"])
async def test_case_02_a_pointer_to_a_media_that_was_withdrawn_by_now_ends_without_a_note(
    hospital: Hospital, status: str
) -> None:
    await hospital.tell(await hospital.admit())
    await hospital.record(status=status)
    pointer = {"operationType": "update", "location": "Media/m1/_history/1", "resourceId": "m1"}
    await hospital.publish(json.dumps(pointer).encode())
    await hospital.until("done" if status == "not-done" else "cancelled", "Encounter/e1")
    assert await every_note(hospital) == []


@pytest.mark.parametrize("status", ["completed", "discharged", "discontinued"])
async def test_case_44_an_r5_encounter_that_is_over_gives_its_note(hospital: Hospital, status: str) -> None:
    encounter, media = as_r5(await hospital.admit(), status), await hospital.record()
    answer_for_the_ehr(hospital, showing(encounter, media))
    await hospital.tell(encounter, media)
    note = await filed(hospital)
    assert note["context"]["period"] == {"start": "2026-01-05T09:00:00Z"}
    assert {"reference": "Practitioner/r5"} in note["author"]


@pytest.mark.parametrize("status", ["planned", "in-progress", "on-hold", "unknown", "brand-new"])
async def test_case_44_an_r5_encounter_that_is_not_over_is_awaited(hospital: Hospital, status: str) -> None:
    encounter, media = as_r5(await hospital.admit(), status), await hospital.record()
    answer_for_the_ehr(hospital, showing(encounter, media))
    await hospital.tell(encounter, media)
    await hospital.until("waiting", reason="encounter_not_finished")


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error"])
async def test_case_44_an_r5_encounter_that_never_was_has_no_note(hospital: Hospital, status: str) -> None:
    encounter, media = as_r5(await hospital.admit(), status), await hospital.record()
    answer_for_the_ehr(hospital, showing(encounter, media))
    await hospital.tell(encounter, media)
    await hospital.until("cancelled")
    assert await every_note(hospital) == []


async def test_case_44_an_stu3_media_has_no_status_and_is_a_dead_letter(hospital: Hospital) -> None:
    media = await hospital.record()
    stu3 = {
        **{name: value for name, value in media.items() if name not in ("status", "encounter")},
        "context": media["encounter"],
    }
    await hospital.tell(stu3)
    (letter,) = await hospital.house.letters.list_letters("open", 10, None)
    assert (letter["reason"], letter["detail"]) == ("not_fhir", "Media.status is missing")


def as_r5(encounter: Json, status: str) -> Json:
    r4 = ("class", "period", "status")
    return {
        **{name: value for name, value in encounter.items() if name not in r4},
        "status": status,
        "class": [{"coding": [{"code": "EMER"}]}],
        "actualPeriod": encounter["period"],
        "participant": [{"actor": {"reference": "Practitioner/r5"}}],
    }


MODIFIERS: dict[str, Json] = {
    "modifierExtension": {"modifierExtension": [{"url": "urn:test:not", "valueBoolean": True}]},
    "implicitRules": {"implicitRules": "urn:test:rules"},
}


@pytest.mark.parametrize("element", MODIFIERS)
@pytest.mark.parametrize("of", ["Encounter", "Media", "Patient"])
async def test_case_45_what_may_turn_a_meaning_round_is_for_a_person(hospital: Hospital, of: str, element: str) -> None:
    resources = {"Encounter": await hospital.admit(), "Media": await hospital.record()}
    resources["Patient"] = await hospital.house.ehr.read("Patient/p1")
    plain = resources[of]
    resources[of] = {**plain, **MODIFIERS[element]}
    answer_for_the_ehr(hospital, showing(*resources.values()))
    await hospital.tell(resources["Encounter"], resources["Media"])
    visit = await hospital.until("parked", reason="modifier_not_understood")
    assert element in visit["detail"]
    assert of == "Patient" or f"{of}/{plain['id']}" in visit["detail"]
    assert await nothing_left_the_house(hospital)
    answer_for_the_ehr(hospital, showing())
    await again(hospital)
    await filed(hospital)


async def test_case_45_a_modifier_that_comes_after_filing_is_not_passed_over(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await filed(hospital)
    modified = {**media, **MODIFIERS["modifierExtension"], "meta": {"versionId": "2"}}
    answer_for_the_ehr(hospital, showing(modified))
    await hospital.tell(modified)
    await hospital.until("parked", reason="modifier_not_understood")
    assert [note["status"] for note in await hospital.notes()] == ["current"]
