"""What must not leave the house: restricted labels, and consents that are denied, missing or for a person to read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.journey.edge_cases.ehr_at_the_wire import (
    Meanwhile,
    again,
    answer_for_the_ehr,
    answering,
    every_note,
    nothing_left_the_house,
)
from tests.journey.hospital import Hospital, Json, open_hospital

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PART_2 = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}


def labelled(code: str, system: str | None = CONFIDENTIALITY) -> Json:
    return {"meta": {"security": [{"code": code, **({"system": system} if system else {})}]}}


def consent(kind: str = "permit", *, patient: str = "p1", **more: Any) -> Json:
    return {
        "resourceType": "Consent", "id": "c1", "status": "active", "patient": {"reference": f"Patient/{patient}"},
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "provision": {"type": kind}, **more,
    }  # fmt: skip


@pytest.fixture
async def asking(tmp_path: Path) -> AsyncIterator[Hospital]:
    async with open_hospital(tmp_path, ehr={"consent_check": True}) as hospital:
        yield hospital


async def tell_of_a_visit(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record())


async def test_case_26_of_an_encounter_that_is_restricted_nothing_leaves_the_house(hospital: Hospital) -> None:
    encounter = await hospital.admit(**labelled("R"))
    await hospital.tell(encounter, await hospital.record())
    visit = await hospital.until("parked", reason="restricted")
    assert await nothing_left_the_house(hospital)
    assert "Encounter/e1" in visit["detail"]


@pytest.mark.parametrize("label", [labelled("V"), {"meta": {"security": [PART_2]}}, labelled("r", None)])
async def test_case_26_nor_of_a_restricted_recording(hospital: Hospital, label: Json) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record(**label))
    await hospital.until("parked", reason="restricted")
    assert await nothing_left_the_house(hospital)


async def test_case_26_nor_of_a_restricted_patient_whom_no_event_tells_of(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put({"resourceType": "Patient", "id": "p1", **labelled("V")})
    await hospital.tell(encounter, media)
    await hospital.until("parked", reason="restricted")
    assert await nothing_left_the_house(hospital)


async def test_case_26_a_label_that_only_the_ehr_has_counts(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put({**encounter, **labelled("R")})
    await hospital.tell(encounter, media)
    await hospital.until("parked", reason="restricted")
    assert await nothing_left_the_house(hospital)


async def test_case_26_the_reason_does_not_say_which_label_it_is(tmp_path: Path) -> None:
    sensitive = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    async with open_hospital(tmp_path, ehr={"restricted_labels": ["HIV"]}) as hospital:
        await hospital.tell(await hospital.admit(), await hospital.record(**labelled("HIV", sensitive)))
        visit = await hospital.until("parked", reason="restricted")
        assert "HIV" not in visit["detail"]


@pytest.mark.parametrize("label", [labelled("N"), labelled("R", "urn:our:priorities")])
async def test_case_26_other_labels_stop_nothing(hospital: Hospital, label: Json) -> None:
    await hospital.tell(await hospital.admit(**label), await hospital.record())
    await hospital.until("done")


async def test_case_26_a_visit_goes_on_when_the_label_has_gone(hospital: Hospital) -> None:
    encounter = await hospital.admit(**labelled("R"))
    await hospital.tell(encounter, await hospital.record())
    await hospital.until("parked", reason="restricted")
    await hospital.put({name: value for name, value in encounter.items() if name != "meta"})
    await again(hospital)
    await hospital.until("done")
    assert len(await every_note(hospital)) == 1


async def test_case_26_a_label_that_comes_while_the_note_is_drafted_keeps_it_from_being_filed(
    hospital: Hospital,
) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    hospital.house.ambient = Meanwhile(
        hospital.house.ambient, "create_document", lambda: hospital.put({**encounter, **labelled("R")})
    )
    await hospital.tell(encounter, media)
    await hospital.until("parked", reason="restricted")
    assert await every_note(hospital) == []


async def test_case_26_consent_is_not_asked_for_unless_that_is_wanted(hospital: Hospital) -> None:
    await hospital.put(consent("deny"))
    await tell_of_a_visit(hospital)
    await hospital.until("done")


async def test_case_26_without_a_consent_nothing_leaves_the_house(asking: Hospital) -> None:
    await tell_of_a_visit(asking)
    await asking.until("parked", reason="consent_absent")
    assert await nothing_left_the_house(asking)


async def test_case_26_a_denied_consent_lets_nothing_leave_the_house(asking: Hospital) -> None:
    await asking.put({"resourceType": "Patient", "id": "p1"})
    await asking.put(consent())
    await asking.put({**consent("deny"), "id": "c2"})
    await tell_of_a_visit(asking)
    await asking.until("parked", reason="consent_denied")
    assert await nothing_left_the_house(asking)


async def test_case_26_a_consent_that_only_a_person_can_read_waits_for_one(asking: Hospital) -> None:
    await asking.put({"resourceType": "Patient", "id": "p1"})
    limited = {"type": "permit", "action": [{"coding": [{"code": "access"}]}]}
    await asking.put(consent(provision=limited))
    await tell_of_a_visit(asking)
    await asking.until("parked", reason="consent_unclear")
    assert await nothing_left_the_house(asking)


async def test_case_26_a_consent_that_is_given_meanwhile_is_found_by_a_retry(asking: Hospital) -> None:
    await tell_of_a_visit(asking)
    await asking.until("parked", reason="consent_absent")
    await asking.put(consent())
    await again(asking)
    await asking.until("done")
    assert len(await every_note(asking)) == 1


async def test_case_26_a_dry_run_says_what_is_missing(asking: Hospital) -> None:
    await tell_of_a_visit(asking)
    await asking.until("parked", reason="consent_absent")
    async with asking.http() as http:
        tried = await http.post("/visits/Encounter/e1/retry", params={"dryRun": "true"})
    assert (tried.json()["verdict"], tried.json()["reason"]) == ("would_park", "consent_absent")


async def test_case_26_a_consent_withdrawn_before_filing_keeps_the_note_out_of_the_ehr(asking: Hospital) -> None:
    await asking.put({"resourceType": "Patient", "id": "p1"})
    given = await asking.put(consent())
    asking.house.ambient = Meanwhile(
        asking.house.ambient, "create_document", lambda: asking.put({**given, "status": "inactive"})
    )
    await tell_of_a_visit(asking)
    await asking.until("parked", reason="consent_absent")
    assert await every_note(asking) == []


async def test_case_26_a_consent_withdrawn_after_filing_stops_what_comes_next_and_leaves_the_note(
    asking: Hospital,
) -> None:
    await asking.put({"resourceType": "Patient", "id": "p1"})
    given = await asking.put(consent())
    await tell_of_a_visit(asking)
    await asking.until("done")
    await asking.put({**given, "provision": {"type": "deny"}})
    await asking.tell(await asking.record("m2", turns=[("patient", "My knee hurts as well.")]))
    await asking.until("parked", reason="consent_denied")
    assert [note["status"] for note in await every_note(asking)] == ["current"]


async def test_case_26_another_patients_consent_that_a_lenient_server_finds_permits_nothing(asking: Hospital) -> None:
    found = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": consent(patient="p2")}]}
    answer_for_the_ehr(asking, answering("GET", "Consent", 200, json=found))
    await tell_of_a_visit(asking)
    await asking.until("parked", reason="consent_absent")
    assert await nothing_left_the_house(asking)


async def test_case_26_an_ehr_that_does_not_let_us_read_consents_gets_no_note(asking: Hospital) -> None:
    answer_for_the_ehr(asking, answering("GET", "Consent", 403))
    await tell_of_a_visit(asking)
    await asking.until("parked", reason="ehr_refused")
    assert await nothing_left_the_house(asking)
