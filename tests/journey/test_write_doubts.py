"""Lost answers, odd EHRs and people in between: what is in doubt is neither sent twice nor left standing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from service.errors import NeedsPerson, Retryable
from service.fhir.capability_statement import Capabilities
from service.workflow.ports import AnswerLost, Filed
from service.workflow.work import Observed
from tests.journey.hospital import Hospital, Json, open_hospital
from tests.journey.test_orphans import sweep
from tests.journey.unconditional import Unconditional, again, ehr_of, told

PARTS: Json = {"ehr": {"index_lag": "300ms"}, "worker": {"poll": 0.1, "lease": 1}}
SLOW: Json = {"ehr": {"index_lag": "60s"}, "worker": {"poll": 0.1, "lease": 1}}
PATIENT = {"resourceType": "Patient", "id": "p2"}


class Conditional(Unconditional):
    """It creates conditionally, and is not known to be searched by identifier. Of `dropping` it keeps nothing."""

    def __init__(self, ehr: Any, *dropping: str, patient: str | None = None) -> None:
        super().__init__(ehr)
        note = {
            "type": "DocumentReference",
            "conditionalCreate": True,
            "interaction": [{"code": "update"}],
            "searchParam": [{"name": "patient"}],
        }
        self.says = Capabilities({"rest": [{"resource": [note]}]})
        self._dropping, self._patient = dropping, patient

    async def create_once(self, resource: Mapping[str, Any], identifier: str) -> Filed:  # type: ignore[override]
        if resource["resourceType"] != "DocumentReference":
            return await self._ehr.create_once(resource, identifier)  # type: ignore[no-any-return]
        kept = {name: value for name, value in resource.items() if name not in self._dropping}
        if self._patient:
            kept["subject"] = {"reference": self._patient}
        return await self.create(kept) if self._dropping else await self._once(kept, identifier)

    async def _once(self, resource: Mapping[str, Any], identifier: str) -> Filed:
        self.sent.append(resource)
        filed: Filed = await self._ehr.create_once(resource, identifier)
        if self.fates and self.fates.pop(0) == "lost":
            raise AnswerLost("ReadTimeout")
        return filed


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    async with open_hospital(tmp_path, **PARTS) as hospital:
        hospital.house.ehr = Unconditional(hospital.house.ehr)  # type: ignore[assignment]
        yield hospital


def put_in(hospital: Hospital, ehr: Any) -> None:
    hospital.house.ehr = ehr


async def every_note(hospital: Hospital) -> list[Json]:
    async with hospital.http() as http:
        found = (await http.get(f"{hospital.house.ehr.base_url}/DocumentReference")).json()
    return [entry["resource"] for entry in found.get("entry", [])]


async def test_a_lost_note_is_taken_back_where_creates_are_conditional_and_identifiers_cannot_be_searched(
    tmp_path: Path,
) -> None:
    async with open_hospital(tmp_path, **PARTS) as hospital:
        put_in(hospital, Conditional(hospital.house.ehr))
        media = await told(hospital, "lost")
        await hospital.until("waiting", reason="answer_lost")
        await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
        await hospital.until("cancelled", reason="recordings_withdrawn")
        assert [note["status"] for note in await every_note(hospital)] == ["entered-in-error"]


async def test_that_identifiers_are_not_kept_is_known_to_the_next_process(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **PARTS) as hospital:
        put_in(hospital, Conditional(hospital.house.ehr, "identifier"))
        await told(hospital)
        await hospital.until("done")
        hospital.house.observed = Observed()  # as in a new process
        ehr_of(hospital).fates = ["never"]
        await hospital.tell(await hospital.admit("e2"), await hospital.record("m2", encounter="e2"))
        await hospital.until("parked", "Encounter/e2", reason="write_unknown")
        assert len(ehr_of(hospital).sent) == 2


async def test_a_misfiled_note_stays_an_alarm_and_is_taken_back(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **PARTS) as hospital:
        put_in(hospital, Conditional(hospital.house.ehr, "author", patient="Patient/p2"))
        await hospital.put(PATIENT)
        await told(hospital)
        await hospital.until("parked", reason="filed_in_another_chart")
        await hospital.tell(
            await hospital.admit(period={"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T10:00:00Z"})
        )
        await hospital.until("parked", reason="filed_in_another_chart")
        await again(hospital)
        await hospital.until("parked", reason="filed_in_another_chart")
        assert [note["status"] for note in await every_note(hospital)] == ["entered-in-error"]
        assert len(ehr_of(hospital).sent) == 1


async def test_a_misfiled_note_that_is_found_is_an_alarm_and_not_adopted(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **PARTS) as hospital:
        real = hospital.house.ehr

        class Misfiles(Conditional):
            async def find(self, *asked: Any) -> list[Json]:
                return await real.find(*asked)

        put_in(hospital, Misfiles(real, "author", patient="Patient/p2"))
        note = {"type": "DocumentReference", "conditionalCreate": True, "searchParam": [{"name": "identifier"}]}
        ehr_of(hospital).says = Capabilities({"rest": [{"resource": [note]}]})
        await hospital.put(PATIENT)
        alarms = REGISTRY.get_sample_value("ambient_subject_mismatch_total") or 0.0
        await told(hospital, "lost")
        await hospital.until("parked", reason="filed_in_another_chart")
        assert (REGISTRY.get_sample_value("ambient_subject_mismatch_total") or 0.0) > alarms
        assert len(ehr_of(hospital).sent) == 1


async def test_the_day_of_a_note_may_be_the_ehr_s_own(hospital: Hospital) -> None:
    search, days = ehr_of(hospital).search, []

    async def watched(kind: str, parameters: Mapping[str, str]) -> list[Json]:
        days.append(parameters["date"])
        return await search(kind, parameters)

    ehr_of(hospital).search = watched  # type: ignore[method-assign]
    await told(hospital, "lost")
    await hospital.until("done")
    (note,) = await hospital.notes()
    assert days[-1].removeprefix("ge") < note["date"][:10]


async def test_what_a_clinician_added_to_a_note_whose_answer_was_lost_is_not_taken_back(hospital: Hospital) -> None:
    media = await told(hospital, "lost")
    await hospital.until("waiting", reason="answer_lost")
    (note,) = await every_note(hospital)
    addendum = {"attachment": {"contentType": "text/plain", "data": "YWxsZXJnaWM="}}
    await hospital.put({**note, "content": [*note["content"], addendum]})
    await again(hospital)
    await hospital.until("done")
    await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
    await hospital.until("parked", reason="note_edited")
    assert [note["status"] for note in await every_note(hospital)] == ["current"]


async def test_a_redraft_does_not_replace_what_a_clinician_signed(hospital: Hospital) -> None:
    await told(hospital)
    await hospital.until("done")
    (note,) = await hospital.notes()
    await hospital.put({**note, "docStatus": "final"})
    await hospital.tell(await hospital.record("m2"))
    await hospital.until("parked", reason="note_edited")
    signed, draft = await hospital.notes()
    assert (signed["status"], signed["docStatus"]) == ("current", "final")
    assert "relatesTo" not in draft


async def test_a_note_is_not_sent_again_while_it_may_still_show_up(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **SLOW) as hospital:
        put_in(hospital, Unconditional(hospital.house.ehr))
        await told(hospital, "late")
        await hospital.until("waiting", reason="write_unknown")
        async with hospital.http() as http:
            assert (await http.post("/visits/Encounter/e1/resend")).status_code == 409
        assert len(ehr_of(hospital).sent) == 1


async def test_the_note_of_another_template_is_not_adopted(tmp_path: Path) -> None:
    async with open_hospital(
        tmp_path, **PARTS, notes={"templates": ["corti-soap", "corti-patient-summary"]}
    ) as hospital:
        put_in(hospital, Unconditional(hospital.house.ehr))
        await told(hospital, "well", "never")
        await hospital.until("parked", reason="write_unknown")
        (standing,) = await hospital.notes()
        async with hospital.http() as http:
            await http.post("/visits/Encounter/e1/adopt", params={"reference": f"DocumentReference/{standing['id']}"})
        await hospital.until("parked", reason="adopted_note_elsewhere")


async def test_a_refusal_does_not_tell_what_became_of_an_earlier_attempt(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **PARTS) as hospital:
        put_in(hospital, Conditional(hospital.house.ehr, "author"))
        await told(hospital, "never", "refused", "never")
        await hospital.until("waiting", reason="ehr_unreachable")
        steps = (await hospital.visit())["steps"]
        assert [step["write"]["state"] for step in steps if step["name"].startswith("filed:")] == ["unknown"]


async def test_an_ehr_that_hides_what_it_can_is_not_asked_where_the_profile_says_it(tmp_path: Path) -> None:
    class Mute(Unconditional):
        async def capabilities(self, *, afresh: bool = False) -> Capabilities:
            raise Retryable("ehr_unavailable", "500")

    profile = tmp_path / "own.yaml"
    profile.write_text(
        "name: own\nextends: us-core\nwriting: {conditional_create: false, identifier_search: false, update: true, provenance: false, device: false}\n"
    )
    async with open_hospital(tmp_path, ehr={"index_lag": "300ms", "profile": str(profile)}) as hospital:
        put_in(hospital, Mute(hospital.house.ehr))
        await told(hospital)
        await hospital.until("done")


async def statuses(hospital: Hospital) -> list[str]:
    return [note["status"] for note in await every_note(hospital)]


async def test_a_misfiled_note_is_taken_back_at_once_and_its_visit_can_be_closed(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **PARTS) as hospital:
        put_in(hospital, Conditional(hospital.house.ehr, "author", patient="Patient/p2"))
        await hospital.put(PATIENT)
        await told(hospital)
        await hospital.until("parked", reason="filed_in_another_chart")
        assert await statuses(hospital) == ["entered-in-error"]
        await hospital.house.visits.discard_visit("Encounter/e1")
        await sweep(hospital)
        await hospital.until("cancelled", reason="discarded")


async def test_a_misfiled_note_whose_answer_was_lost_is_taken_back_too(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **PARTS) as hospital:
        real = hospital.house.ehr

        class Misfiles(Conditional):
            async def find(self, *asked: Any) -> list[Json]:
                return await real.find(*asked)

            async def _once(self, resource: Mapping[str, Any], identifier: str) -> Filed:
                return await super()._once({**resource, "subject": {"reference": "Patient/p2"}}, identifier)

        put_in(hospital, Misfiles(real))
        note = {
            "type": "DocumentReference",
            "conditionalCreate": True,
            "searchParam": [{"name": "identifier"}],
            "interaction": [{"code": "update"}],
        }
        ehr_of(hospital).says = Capabilities({"rest": [{"resource": [note]}]})
        await hospital.put(PATIENT)
        await told(hospital, "lost")
        await hospital.until("parked", reason="filed_in_another_chart")
        assert await statuses(hospital) == ["entered-in-error"]
        for _ in range(2):
            await sweep(hospital)
            await hospital.until("parked", reason="filed_in_another_chart")
        assert len(ehr_of(hospital).sent) == 1


@pytest.mark.parametrize("failure", [NeedsPerson("ehr_refused", "403"), Retryable("ehr_answer_not_fhir", "200")])
async def test_somebody_s_scan_that_cannot_be_read_holds_no_note(tmp_path: Path, failure: Exception) -> None:
    class Sealed(Unconditional):
        async def read(self, reference: str) -> Json:
            if reference == "Binary/scan":
                raise failure
            return await self._ehr.read(reference)  # type: ignore[no-any-return]

    async with open_hospital(tmp_path, **PARTS) as hospital:
        put_in(hospital, Sealed(hospital.house.ehr))
        await hospital.admit()
        await hospital.put({"resourceType": "DocumentReference", "id": "scan", "status": "current", "subject": {"reference": "Patient/p1"}, "date": "2999-01-01T00:00:00Z",
            "content": [{"attachment": {"url": "Binary/scan"}}], "context": {"encounter": [{"reference": "Encounter/e1"}]}})  # fmt: skip
        await told(hospital, "lost")
        await hospital.until("done")
        assert len(ehr_of(hospital).sent) == 1


async def test_an_alarm_sounds_though_the_note_cannot_be_taken_back_yet(hospital: Hospital) -> None:
    media = await told(hospital)
    await hospital.until("done")
    alarms = REGISTRY.get_sample_value("ambient_subject_mismatch_total") or 0.0
    real = hospital.house.ehr

    class Busy(Unconditional):
        async def update(self, resource: Mapping[str, Any], version: str | None) -> Filed:
            if self.fates:
                self.fates.pop()
                raise Retryable("ehr_unavailable", "503")
            return await self._ehr.update(resource, version)  # type: ignore[no-any-return]

    put_in(hospital, busy := Busy(real))
    await real.update({**PATIENT}, None)
    moved = await real.update({**media, "subject": {"reference": "Patient/p2"}}, None)
    busy.fates = ["once"]
    await hospital.tell(await real.read(moved.reference))
    await hospital.until("waiting", reason="ehr_unavailable")
    assert (REGISTRY.get_sample_value("ambient_subject_mismatch_total") or 0.0) > alarms
    await hospital.until("parked", reason="subject_mismatch")
    assert await statuses(hospital) == ["entered-in-error"]


async def test_a_rehearsal_changes_nothing_in_what_is_known_of_the_ehr(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, **PARTS) as hospital:
        put_in(hospital, Conditional(hospital.house.ehr, "identifier"))
        await told(hospital)
        await hospital.until("done")
        hospital.house.observed = Observed()
        ehr_of(hospital).fates = ["never"]
        await hospital.tell(await hospital.admit("e2"), await hospital.record("m2", encounter="e2"))
        await hospital.until("parked", "Encounter/e2", reason="write_unknown")
        hospital.house.observed = Observed()
        known = await hospital.house.visits.find_visit("Encounter/e2")
        assert known
        assert (await hospital.house.rehearse(known)).verdict != "would_take"
        assert hospital.house.observed.keeps_identifier is None


async def test_a_note_of_several_encounters_is_in_the_right_chart_if_ours_is_one_of_them(tmp_path: Path) -> None:
    class AddsTheStay(Unconditional):
        async def create(self, resource: Mapping[str, Any]) -> Filed:
            stay = {"reference": "Encounter/stay"}
            context = {**resource["context"], "encounter": [stay, *resource["context"]["encounter"]]}
            return await super().create({**resource, "context": context})

    async with open_hospital(tmp_path, **PARTS) as hospital:
        put_in(hospital, AddsTheStay(hospital.house.ehr))
        await told(hospital)
        await hospital.until("done")
        assert await statuses(hospital) == ["current"]


async def test_a_note_without_its_encounter_can_be_adopted(tmp_path: Path) -> None:
    class Bare(Unconditional):
        async def create(self, resource: Mapping[str, Any]) -> Filed:
            return await super().create({name: value for name, value in resource.items() if name != "context"})

        async def search(self, *_: Any) -> list[Json]:
            return []

    async with open_hospital(tmp_path, **PARTS) as hospital:
        put_in(hospital, Bare(hospital.house.ehr))
        await told(hospital, "lost")
        await hospital.until("parked", reason="write_unknown")
        (note,) = await every_note(hospital)
        async with hospital.http() as http:
            await http.post("/visits/Encounter/e1/adopt", params={"reference": f"DocumentReference/{note['id']}"})
        await hospital.until("done")
        assert len(ehr_of(hospital).sent) == 1


async def test_a_discarded_visit_is_not_taken_up_again_by_the_sweep(tmp_path: Path) -> None:
    notes = {"templates": ["corti-soap", "corti-patient-summary"]}
    async with open_hospital(tmp_path, **PARTS, notes=notes) as hospital:
        put_in(hospital, Unconditional(hospital.house.ehr))
        await told(hospital, "late")
        await hospital.until("parked", reason="write_unknown")
        await hospital.house.visits.discard_visit("Encounter/e1")
        await ehr_of(hospital).arrive()
        await sweep(hospital)
        await hospital.until("cancelled", reason="discarded")
        assert len(ehr_of(hospital).sent) == 1
