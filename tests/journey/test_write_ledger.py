"""An EHR without conditional create: a note is sent once, or a person decides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from service.fhir.capability_statement import Capabilities
from service.workflow.ports import Filed
from tests.journey.hospital import Hospital, open_hospital
from tests.journey.unconditional import Unconditional, again, ehr_of, told


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    async with open_hospital(tmp_path, ehr={"index_lag": "300ms"}, worker={"poll": 0.1, "lease": 1}) as hospital:
        hospital.house.ehr = Unconditional(hospital.house.ehr)  # type: ignore[assignment]
        yield hospital


def writes(state: str) -> float:
    return REGISTRY.get_sample_value("ambient_ehr_writes_total", {"state": state}) or 0.0


async def test_a_note_is_filed_and_the_ledger_says_so(hospital: Hospital) -> None:
    before = writes("filed")
    await told(hospital, "well")
    visit = await hospital.until("done")
    (filed,) = [step for step in visit["steps"] if step["name"].startswith("filed:")]
    assert filed["write"]["state"] == "filed"
    assert filed["write"]["subject"] == "Patient/p1"
    assert len(ehr_of(hospital).sent) == len(await hospital.notes()) == 1
    assert writes("filed") == before + 1


async def test_the_ledger_is_written_before_the_note_is_sent(hospital: Hospital) -> None:
    ehr, states = ehr_of(hospital), []
    create = ehr.create

    async def watched(resource: Mapping[str, Any]) -> Filed:
        steps = (await hospital.visit())["steps"]
        states.append([step["write"]["state"] for step in steps if step["name"].startswith("filed:")])
        return await create(resource)

    ehr.create = watched  # type: ignore[method-assign]
    await told(hospital, "well")
    await hospital.until("done")
    assert states == [["sending"]]


async def test_a_note_whose_answer_was_lost_is_found_by_what_it_says(hospital: Hospital) -> None:
    await told(hospital, "lost")
    await hospital.until("done")
    assert len(ehr_of(hospital).sent) == 1
    assert [note["status"] for note in await hospital.notes()] == ["current"]


async def test_a_note_that_is_not_found_is_looked_for_again_and_then_held(hospital: Hospital) -> None:
    await told(hospital, "never")
    visit = await hospital.until("parked", reason="write_unknown")
    assert "visits adopt" in visit["detail"]
    assert len(ehr_of(hospital).sent) == 1
    await again(hospital)
    await hospital.until("parked", reason="write_unknown")
    assert len(ehr_of(hospital).sent) == 1


async def test_a_note_that_arrives_while_it_is_held_is_found_at_a_retry(hospital: Hospital) -> None:
    await told(hospital, "late")
    await hospital.until("parked", reason="write_unknown")
    await ehr_of(hospital).arrive()
    await again(hospital)
    await hospital.until("done")
    assert len(await hospital.notes()) == 1


async def test_a_note_that_was_surely_not_sent_is_sent_again(hospital: Hospital) -> None:
    await told(hospital, "refused")
    await hospital.until("done")
    assert len(ehr_of(hospital).sent) == 2
    assert len(await hospital.notes()) == 1


async def test_who_prefers_a_duplicate_to_a_loss_gets_it_sent_again(tmp_path: Path) -> None:
    parts = {"ehr": {"index_lag": "300ms", "unknown_writes": "resend"}, "worker": {"poll": 0.1, "lease": 1}}
    async with open_hospital(tmp_path, **parts) as hospital:
        hospital.house.ehr = Unconditional(hospital.house.ehr)  # type: ignore[assignment]
        await told(hospital, "never")
        await hospital.until("done")
        assert len(ehr_of(hospital).sent) == 2


async def test_a_person_has_the_note_sent_again(hospital: Hospital) -> None:
    await told(hospital, "never")
    await hospital.until("parked", reason="write_unknown")
    async with hospital.http() as http:
        answer = await http.post("/visits/Encounter/e1/resend")
    assert answer.status_code == 202
    assert answer.json()["resent"].startswith("filed:corti-soap:")
    await hospital.until("done")
    assert len(ehr_of(hospital).sent) == 2
    assert len(await hospital.notes()) == 1


async def test_a_person_names_the_note_that_stands(hospital: Hospital) -> None:
    await told(hospital, "late")
    await hospital.until("parked", reason="write_unknown")
    changed = {**ehr_of(hospital).sent[0], "description": "as the EHR tells it"}
    standing = await ehr_of(hospital)._ehr.create(
        {**changed, "content": [{"attachment": {"contentType": "text/plain", "data": "eA=="}}]}
    )
    async with hospital.http() as http:
        assert (
            await http.post("/visits/Encounter/e1/adopt", params={"reference": standing.reference})
        ).status_code == 202
    await hospital.until("done")
    assert [f"DocumentReference/{note['id']}" for note in await hospital.notes()] == [standing.reference]


async def test_a_note_of_another_chart_is_not_adopted(hospital: Hospital) -> None:
    await told(hospital, "never")
    await hospital.until("parked", reason="write_unknown")
    await hospital.put({"resourceType": "Patient", "id": "p2"})
    other = {**ehr_of(hospital).sent[0], "subject": {"reference": "Patient/p2"}}
    standing = await ehr_of(hospital)._ehr.create(other)
    async with hospital.http() as http:
        await http.post("/visits/Encounter/e1/adopt", params={"reference": standing.reference})
        await hospital.until("parked", reason="adopted_note_elsewhere")
        await http.post("/visits/Encounter/e1/adopt", params={"reference": "DocumentReference/nowhere"})
        await hospital.until("parked", reason="adopted_note_absent")
        await http.post("/visits/Encounter/e1/resend")
    await hospital.until("done")
    assert len(ehr_of(hospital).sent) == 2


@pytest.mark.parametrize(
    ("path", "status"),
    [("/visits/Encounter/e1/resend", 409), ("/visits/Encounter/none/resend", 404), ("/visits/Encounter/e1/adopt", 400),
     ("/visits/Encounter/e1/adopt?reference=Media/m1", 400), ("/visits/Encounter/e1/adopt?reference=DocumentReference/d1", 409)],
)  # fmt: skip
async def test_what_is_not_in_doubt_cannot_be_decided(
    hospital: Hospital, http: httpx.AsyncClient, path: str, status: int
) -> None:
    await told(hospital, "well")
    await hospital.until("done")
    assert (await http.post(path)).status_code == status


async def test_a_note_that_cannot_be_changed_is_left_for_a_person_to_take_back(hospital: Hospital) -> None:
    media = await told(hospital, "well")
    await hospital.until("done")
    (note,) = await hospital.notes()
    ehr_of(hospital).says = Capabilities(
        {"rest": [{"resource": [{"type": "DocumentReference", "interaction": [{"code": "create"}]}]}]}
    )
    await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
    visit = await hospital.until("parked", reason="retraction_pending_manual")
    assert f"DocumentReference/{note['id']}" in visit["detail"]
    await hospital.put({**note, "status": "entered-in-error"})
    await again(hospital)
    await hospital.until("cancelled", reason="recordings_withdrawn")


async def test_words_that_somebody_changed_are_not_taken_back_even_where_versions_stay_unknown(
    hospital: Hospital,
) -> None:
    media = await told(hospital, "lost")
    await hospital.until("done")
    (note,) = await hospital.notes()
    edited = {**note, "content": [{"attachment": {"contentType": "text/plain", "data": "ZWRpdGVk"}}]}
    await hospital.put(edited)
    await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
    await hospital.until("parked", reason="note_edited")


async def test_a_note_in_doubt_does_not_keep_another_standing(tmp_path: Path) -> None:
    notes = {"templates": ["corti-soap", "corti-patient-summary"]}
    parts = {"ehr": {"index_lag": "300ms"}, "worker": {"poll": 0.1, "lease": 1}, "notes": notes}
    async with open_hospital(tmp_path, **parts) as hospital:
        hospital.house.ehr = Unconditional(hospital.house.ehr)  # type: ignore[assignment]
        media = await told(hospital, "well", "never")
        await hospital.until("parked", reason="write_unknown")
        await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
        await hospital.until("parked", reason="write_unknown")
        assert [note["status"] for note in await hospital.notes()] == ["entered-in-error"]
        await ehr_of(hospital).arrive()
        await again(hospital)
        await hospital.until("cancelled", reason="recordings_withdrawn")
        assert [note["status"] for note in await hospital.notes()] == ["entered-in-error", "entered-in-error"]


async def test_what_the_ehr_leaves_out_is_told_once(tmp_path: Path) -> None:
    class Forgets(Unconditional):
        async def create(self, resource: Mapping[str, Any]) -> Filed:
            return await super().create(
                {name: value for name, value in resource.items() if name not in ("identifier", "author")}
            )

    async with open_hospital(tmp_path) as hospital:
        hospital.house.ehr = Forgets(hospital.house.ehr)  # type: ignore[assignment]
        before = dropped("identifier"), dropped("author")
        await told(hospital)
        await hospital.until("done")
        await hospital.tell(await hospital.admit("e2"), await hospital.record("m2", encounter="e2"))
        await hospital.until("done", "Encounter/e2")
        assert (dropped("identifier"), dropped("author")) == (before[0] + 1, before[1] + 1)
        assert not hospital.house.observed.keeps_identifier


async def test_a_note_that_the_ehr_put_into_another_chart_is_an_alarm(tmp_path: Path) -> None:
    class Misfiles(Unconditional):
        async def create(self, resource: Mapping[str, Any]) -> Filed:
            return await super().create({**resource, "subject": {"reference": "Patient/p2"}})

    async with open_hospital(tmp_path) as hospital:
        hospital.house.ehr = Misfiles(hospital.house.ehr)  # type: ignore[assignment]
        await hospital.put({"resourceType": "Patient", "id": "p2"})
        alarms = REGISTRY.get_sample_value("ambient_subject_mismatch_total") or 0.0
        await told(hospital)
        await hospital.until("parked", reason="filed_in_another_chart")
        assert REGISTRY.get_sample_value("ambient_subject_mismatch_total") == alarms + 1
        assert len(await hospital.notes()) == 1


def dropped(element: str) -> float:
    return REGISTRY.get_sample_value("ambient_ehr_dropped_total", {"element": element}) or 0.0
