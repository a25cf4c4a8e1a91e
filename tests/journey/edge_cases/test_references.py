"""How Media and Encounters name each other and their patient: resolved where the EHR knows one answer, never guessed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.journey.edge_cases.ehr_at_the_wire import (
    again,
    answer_for_the_ehr,
    every_note,
    nothing_left_the_house,
    showing,
)
from tests.journey.hospital import Hospital, Json, open_hospital

SHORT = {"notes": {"incomplete_wait": 0.05, "max_wait": 0.05}}
MRN = {"system": "urn:mrn", "value": "7"}
VISIT_NUMBER = {"system": "urn:visits", "value": "7"}
BASE = "http://127.0.0.1:8000/sandbox/fhir/R4"


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Hospital]:
    async with open_hospital(tmp_path, **SHORT) as hospital:
        yield hospital


def with_reference(resource: Json, element: str, reference: Json | None, **more: Any) -> Json:
    changed = {name: value for name, value in resource.items() if name != element}
    return {**changed, **({element: reference} if reference else {}), **more}


async def hold(hospital: Hospital, *resources: Json) -> None:
    """Both the EHR and its events say it like this."""
    answer_for_the_ehr(hospital, showing(*resources))
    await hospital.tell(*resources)


async def assert_filed_for(hospital: Hospital, patient: str = "p1") -> None:
    """An Encounter whose Media was not yet handed over is done too, without a recording."""
    for _ in range(200):
        if (await hospital.until("done"))["reason"] != "no_recording":
            break
        await asyncio.sleep(0.02)
    (note,) = await hospital.notes()
    assert (note["subject"], note["status"]) == ({"reference": f"Patient/{patient}"}, "current")
    assert note["context"]["encounter"] == [{"reference": "Encounter/e1"}]


# --- 15: no reference, or no literal one ------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", [None, {"display": "Visit of Monday"}], ids=["none", "only display"])
async def test_case_15_a_media_that_names_no_encounter_is_parked(hospital: Hospital, reference: Json | None) -> None:
    await hospital.admit()
    await hold(hospital, with_reference(await hospital.record(), "encounter", reference))
    await hospital.until("parked", "Media/m1", "media_without_encounter")


@pytest.mark.parametrize("reference", [None, {"display": "Mrs. Hale"}], ids=["none", "only display"])
async def test_case_15_an_encounter_that_names_no_patient_waits_and_is_parked(
    impatient: Hospital, reference: Json | None
) -> None:
    encounter, media = await impatient.admit(), await impatient.record()
    await hold(impatient, with_reference(encounter, "subject", reference), media)
    await impatient.until("parked", reason="encounter_without_subject")


@pytest.mark.parametrize("reference", [None, {"display": "Mrs. Hale"}], ids=["none", "only display"])
async def test_case_15_a_media_that_names_no_patient_is_its_encounter_s(
    hospital: Hospital, reference: Json | None
) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hold(hospital, encounter, with_reference(media, "subject", reference))
    await assert_filed_for(hospital)


async def test_case_15_an_identifier_that_one_encounter_has_leads_to_it(hospital: Hospital) -> None:
    encounter = await hospital.admit(identifier=[VISIT_NUMBER])
    media = with_reference(await hospital.record(), "encounter", {"identifier": VISIT_NUMBER})
    await hold(hospital, media)
    await assert_filed_for(hospital)
    await hospital.tell(encounter, {**media, "meta": {"versionId": "2"}})
    await assert_filed_for(hospital)
    assert (await hospital.visit("Media/m1"))["reason"] == "moved_to_encounter"


@pytest.mark.parametrize("of", ["Encounter", "Media"])
async def test_case_15_an_identifier_that_one_patient_has_leads_to_them(hospital: Hospital, of: str) -> None:
    resources = {"Encounter": await hospital.admit(), "Media": await hospital.record()}
    await hospital.put({"resourceType": "Patient", "id": "p1", "identifier": [MRN]})
    resources[of] = with_reference(resources[of], "subject", {"type": "Patient", "identifier": MRN})
    await hold(hospital, *resources.values())
    await assert_filed_for(hospital)


async def test_case_15_an_identifier_of_another_patient_is_a_mismatch(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put({"resourceType": "Patient", "id": "p2", "identifier": [MRN]})
    await hold(hospital, encounter, with_reference(media, "subject", {"identifier": MRN}))
    await hospital.until("parked", reason="subject_mismatch")
    assert await every_note(hospital) == []


@pytest.mark.parametrize(("of", "element"), [("Encounter", "subject"), ("Media", "subject"), ("Media", "encounter")])
async def test_case_15_an_identifier_that_nobody_has_waits_and_is_parked(
    impatient: Hospital, of: str, element: str
) -> None:
    resources = {"Encounter": await impatient.admit(), "Media": await impatient.record()}
    resources[of] = with_reference(resources[of], element, {"identifier": MRN})
    await hold(impatient, *resources.values())
    key = "Media/m1" if element == "encounter" else "Encounter/e1"
    visit = await impatient.until("parked", key, "reference_not_found")
    assert f"{of}/{resources[of]['id']}.{element}" in visit["detail"]
    assert "7" not in visit["detail"].replace(str(visit["id"]), "")
    assert await every_note(impatient) == []


async def test_case_15_an_identifier_is_found_once_the_ehr_has_it(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hold(hospital, with_reference(encounter, "subject", {"identifier": MRN}), media)
    await hospital.until("waiting", reason="reference_not_found")
    await hospital.put({"resourceType": "Patient", "id": "p1", "identifier": [MRN]})
    await again(hospital)
    await assert_filed_for(hospital)


@pytest.mark.parametrize(("of", "element"), [("Encounter", "subject"), ("Media", "subject"), ("Media", "encounter")])
async def test_case_15_an_identifier_that_two_have_is_parked_at_once(hospital: Hospital, of: str, element: str) -> None:
    resources = {"Encounter": await hospital.admit(identifier=[MRN]), "Media": await hospital.record()}
    await hospital.admit("e2", patient="p2", identifier=[MRN])
    for patient in ("p1", "p2"):
        await hospital.put({"resourceType": "Patient", "id": patient, "identifier": [MRN]})
    resources[of] = with_reference(resources[of], element, {"identifier": MRN})
    await hold(hospital, *resources.values())
    await hospital.until("parked", "Media/m1" if element == "encounter" else "Encounter/e1", "reference_ambiguous")
    assert await every_note(hospital) == []


async def test_case_15_a_note_stands_when_its_patient_s_identifier_becomes_ambiguous(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put({"resourceType": "Patient", "id": "p1", "identifier": [MRN]})
    logical = with_reference(encounter, "subject", {"identifier": MRN})
    await hold(hospital, logical, media)
    await assert_filed_for(hospital)
    await hospital.put({"resourceType": "Patient", "id": "p2", "identifier": [MRN]})
    changed = {**logical, "meta": {"versionId": "2"}, "priority": {"text": "routine"}}
    answer_for_the_ehr(hospital, showing(changed, media))
    await hospital.tell(changed)
    await hospital.until("parked", reason="reference_ambiguous")
    assert [note["status"] for note in await every_note(hospital)] == ["current"]


# --- 16: every other form ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["{}", BASE + "/{}", "{}/_history/1", BASE + "/{}/_history/3", "http://127.0.0.1:8000/sandbox/fhir/R4/{}"]
)
async def test_case_16_every_literal_form_leads_to_the_chart(hospital: Hospital, form: str) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    media = with_reference(media, "encounter", {"reference": form.format("Encounter/e1")})
    patient = {"reference": form.format("Patient/p1")}
    await hold(hospital, with_reference(encounter, "subject", patient), with_reference(media, "subject", patient))
    await assert_filed_for(hospital)


@pytest.mark.parametrize("form", ["Patient?identifier=urn:mrn|7", "Patient?identifier=urn%3Amrn%7C7", "#p"])
async def test_case_16_a_conditional_or_contained_patient_is_the_one_with_that_identifier(
    hospital: Hospital, form: str
) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put({"resourceType": "Patient", "id": "p1", "identifier": [MRN]})
    contained = [{"resourceType": "Patient", "id": "p", "identifier": [MRN]}]
    await hold(hospital, with_reference(encounter, "subject", {"reference": form}, contained=contained), media)
    await assert_filed_for(hospital)


NHS = {"system": "urn:nhs", "value": "9"}


async def contain(hospital: Hospital, *identifiers: Json) -> None:
    """An Encounter about a contained Patient with these identifiers, and a recording that names none."""
    encounter, media = await hospital.admit(), await hospital.record()
    contained = [{"resourceType": "Patient", "id": "p", "identifier": list(identifiers)}]
    about = with_reference(encounter, "subject", {"reference": "#p"}, contained=contained)
    await hold(hospital, about, with_reference(media, "subject", None))


async def test_case_16_every_identifier_of_a_contained_patient_may_lead_to_the_same_one(hospital: Hospital) -> None:
    await hospital.put({"resourceType": "Patient", "id": "p2", "identifier": [MRN, NHS]})
    await contain(hospital, MRN, NHS)
    await assert_filed_for(hospital, "p2")


async def test_case_16_a_contained_patient_whose_identifiers_lead_to_two_is_nobody(hospital: Hospital) -> None:
    await hospital.put({"resourceType": "Patient", "id": "p2", "identifier": [MRN]})
    await hospital.put({"resourceType": "Patient", "id": "p3", "identifier": [NHS]})
    await contain(hospital, MRN, NHS)
    await hospital.until("parked", reason="reference_ambiguous")
    assert await every_note(hospital) == []


async def test_case_16_one_whose_second_identifier_nobody_has_is_awaited(impatient: Hospital) -> None:
    """It may be another's who is not registered yet."""
    await impatient.put({"resourceType": "Patient", "id": "p2", "identifier": [MRN]})
    await contain(impatient, MRN, NHS)
    await impatient.until("parked", reason="reference_not_found")
    assert await every_note(impatient) == []


async def test_case_16_an_old_identifier_of_a_contained_patient_leads_nowhere(hospital: Hospital) -> None:
    await hospital.put({"resourceType": "Patient", "id": "p2", "identifier": [MRN]})
    await hospital.put({"resourceType": "Patient", "id": "p3", "identifier": [NHS]})
    await contain(hospital, {**MRN, "use": "old"}, NHS)
    await assert_filed_for(hospital, "p3")


async def test_case_16_nor_does_one_that_is_old_in_the_ehr(hospital: Hospital) -> None:
    await hospital.put({"resourceType": "Patient", "id": "p2", "identifier": [{**MRN, "use": "old"}]})
    await hospital.put({"resourceType": "Patient", "id": "p3", "identifier": [MRN]})
    await contain(hospital, MRN)
    await assert_filed_for(hospital, "p3")


@pytest.mark.parametrize(("of", "element"), [("Encounter", "subject"), ("Media", "subject"), ("Media", "encounter")])
async def test_case_16_a_reference_that_its_own_identifier_contradicts_is_not_followed(
    hospital: Hospital, of: str, element: str
) -> None:
    resources = {"Encounter": await hospital.admit(identifier=[VISIT_NUMBER]), "Media": await hospital.record()}
    await hospital.put({"resourceType": "Patient", "id": "p1", "identifier": [MRN]})
    system = (VISIT_NUMBER if element == "encounter" else MRN)["system"]
    both = {**resources[of][element], "identifier": {"system": system, "value": "8"}}
    await hold(hospital, *(resources | {of: with_reference(resources[of], element, both)}).values())
    visit = await hospital.until("parked", reason="reference_ambiguous")
    assert f".{element}" in visit["detail"]
    assert await nothing_left_the_house(hospital)


async def test_case_16_nor_is_one_kept_back_that_it_confirms_or_that_says_nothing(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(identifier=[VISIT_NUMBER]), await hospital.record()
    await hospital.put({"resourceType": "Patient", "id": "p1", "identifier": [MRN]})
    media = with_reference(media, "encounter", {"reference": "Encounter/e1", "identifier": VISIT_NUMBER})
    media = with_reference(media, "subject", {"reference": "Patient/p1", "identifier": NHS})
    await hold(hospital, with_reference(encounter, "subject", {"reference": "Patient/p1", "identifier": MRN}), media)
    await assert_filed_for(hospital)


async def test_case_16_a_contained_resource_s_id_is_no_resource_of_the_ehr(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    contained = [{"resourceType": "Patient", "id": "p1"}]
    await hold(hospital, with_reference(encounter, "subject", {"reference": "#p1"}, contained=contained), media)
    await hospital.until("parked", reason="reference_not_literal")


@pytest.mark.parametrize("form", ["urn:uuid:0b7f7c0e-54a0-5d5e-8f0b-3f6c0c1f2a11", "Patient?name=hale", "p1", "#p"])
@pytest.mark.parametrize("of", ["Encounter", "Media"])
async def test_case_16_what_leads_nowhere_is_parked(hospital: Hospital, form: str, of: str) -> None:
    resources = {"Encounter": await hospital.admit(), "Media": await hospital.record()}
    resources[of] = with_reference(resources[of], "subject", {"reference": form})
    await hold(hospital, *resources.values())
    visit = await hospital.until("parked", reason="reference_not_literal")
    assert form not in visit["detail"]
    assert await every_note(hospital) == []


async def test_case_16_an_event_s_own_form_does_not_matter_where_the_ehr_has_a_literal_one(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    urn = {"reference": "urn:uuid:0b7f7c0e-54a0-5d5e-8f0b-3f6c0c1f2a11"}
    await hospital.tell(with_reference(encounter, "subject", urn), with_reference(media, "encounter", urn))
    await assert_filed_for(hospital)


async def test_case_16_a_urn_in_its_bundle_is_the_entry_of_that_name(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    urns = {name: f"urn:uuid:0b7f7c0e-54a0-5d5e-8f0b-3f6c0c1f2a1{n}" for n, name in enumerate(("e1", "m1"))}
    entries = [
        {"fullUrl": urns["e1"], "resource": encounter, "request": {"method": "POST", "url": "Encounter"}},
        {"fullUrl": urns["m1"], "resource": with_reference(media, "encounter", {"reference": urns["e1"]})},
    ]
    await hospital.publish(json.dumps({"resourceType": "Bundle", "type": "history", "entry": entries}).encode())
    await assert_filed_for(hospital)
    assert await hospital.house.visits.show_visit("Media/m1") is None


async def test_case_16_a_patient_of_another_server_is_nobody_s_chart_here(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    elsewhere = {"reference": "https://other.example/fhir/Patient/p1"}
    await hold(hospital, with_reference(encounter, "subject", elsewhere), media)
    await hospital.until("parked", reason="subject_elsewhere")


async def test_case_16_an_encounter_of_another_server_is_a_dead_letter(hospital: Hospital) -> None:
    media = await hospital.record()
    elsewhere = {"reference": "https://other.example/fhir/Encounter/e1"}
    await hospital.tell(with_reference(media, "encounter", elsewhere))
    (letter,) = await hospital.house.letters.list_letters("open", 10, None)
    assert letter["reason"] == "foreign_base"


# --- 17: one server under several spellings of its base ---------------------------------------------------------------


@pytest.mark.parametrize(
    "base", ["https://127.0.0.1:8000/sandbox/fhir/R4", "HTTP://127.0.0.1:8000/sandbox/fhir/R4"], ids=["https", "HTTP"]
)
async def test_case_17_another_scheme_is_the_same_server(hospital: Hospital, base: str) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    patient = {"reference": f"{base}/Patient/p1"}
    media = with_reference(media, "encounter", {"reference": f"{base}/Encounter/e1"})
    await hold(hospital, with_reference(encounter, "subject", patient), media)
    await assert_filed_for(hospital)


@pytest.mark.parametrize("base", ["http://127.0.0.1:8001/sandbox/fhir/R4", "http://127.0.0.1:8000/other/fhir/R4"])
async def test_case_17_another_port_or_path_is_another_server(hospital: Hospital, base: str) -> None:
    media = await hospital.record()
    await hospital.tell(with_reference(media, "encounter", {"reference": f"{base}/Encounter/e1"}))
    (letter,) = await hospital.house.letters.list_letters("open", 10, None)
    assert letter["reason"] == "foreign_base"
