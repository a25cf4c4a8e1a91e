"""What an EHR may answer, and what becomes of the note: each through the real client and workflow, with the EHR on a socket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from service.settings import Log
from service.telemetry import configure_logging
from tests.ehrs.chart import visit_name
from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.epic import Epic
from tests.ehrs.house import again, open_house_at, tell_of
from tests.ehrs.notes import only
from tests.ehrs.oracle_health import OracleHealth
from tests.ehrs.scripted import Scripted
from tests.ehrs.strict_r4 import StrictR4
from tests.ehrs.wire import Asked, Json, Told, outcome
from tests.journey.hospital import Hospital

NAME = visit_name(1)
KEY = f"Encounter/{NAME}"
HTML = b"<html><body><h1>Access denied</h1>Mrs. Hale</body></html>"
PAGE = {"content-type": "text/html"}


def filed(ehr: EmulatedEhr, *names: str) -> bool:
    """Whether each of these visits has its one note, and no other is there."""
    return {key: len(notes) for key, notes in ehr.standing().items()} == {f"Encounter/{name}": 1 for name in names}


async def result_of(hospital: Hospital) -> Json:
    """Of the step that filed the note."""
    steps = (await hospital.visit(KEY))["steps"]
    return next(step["result"] for step in steps if step["name"].startswith("filed:"))


async def until_done_again(hospital: Hospital) -> Json:
    await again(hospital, KEY)
    return await hospital.until("done", KEY)


# --- 30: where the note is -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    ["DocumentReference/n1", "DocumentReference/n1/_history/1", "/fhir/R4/DocumentReference/n1", "https://elsewhere.test/r4/DocumentReference/n1"],
)  # fmt: skip
async def test_case_30_an_empty_answer_with_any_kind_of_location(location: str, tmp_path: Path) -> None:
    scripted = Scripted(ehr := StrictR4())
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", 201, headers={"Location": location}, done=True)
        await tell_of(hospital, NAME)
        await hospital.until("done", KEY)
        result = await result_of(hospital)
    assert (result["reference"], result["version"]) == ("DocumentReference/n1", "1")
    assert filed(ehr, NAME)


@pytest.mark.parametrize(("kind", "profile"), [(StrictR4, "us-core"), (Epic, "epic"), (OracleHealth, "oracle-health")])
async def test_case_30_an_answer_that_does_not_say_where_the_note_is(
    kind: type[EmulatedEhr], profile: str, tmp_path: Path
) -> None:
    scripted = Scripted(ehr := kind())
    async with open_house_at(ehr, profile, tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", 201, done=True)
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="answer_lost")
        await until_done_again(hospital)
        assert (await result_of(hospital))["reference"] == "DocumentReference/n1"
    assert filed(ehr, NAME)
    assert scripted.posted() == 1


# --- 31: another success than 201 ----------------------------------------------------------------------------------------------------


async def test_case_31_a_note_that_was_there_already_is_filed(tmp_path: Path) -> None:
    scripted = Scripted(ehr := StrictR4(index_lag=60))
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", 504, done=True)
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="answer_lost")
        await until_done_again(hospital)
        assert (await result_of(hospital))["reference"] == "DocumentReference/n1"
    assert filed(ehr, NAME)
    assert scripted.posted() == 2


async def test_case_31_a_note_that_is_accepted_for_review_is_not_filed_yet(tmp_path: Path) -> None:
    scripted = Scripted(ehr := StrictR4())
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", 202, headers={"Content-Location": "queue/7"})
        await tell_of(hospital, NAME)
        parked = await hospital.until("parked", KEY, reason="accepted_not_filed")
    assert "202" in parked["detail"]
    assert scripted.posted() == 1


# --- 32: two matches ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index_lag", [0, 60], ids=["found by searching", "known to the conditional create"])
async def test_case_32_two_notes_under_one_identifier_need_a_person(index_lag: float, tmp_path: Path) -> None:
    scripted = Scripted(ehr := StrictR4(index_lag=index_lag))
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", 504, done=True)
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="answer_lost")
        ehr.keep(ehr.notes["n1"].versions[0])
        await again(hospital, KEY)
        await hospital.until("parked", KEY, reason="several_matches")
        assert len(ehr.notes) == 2
        del ehr.notes["n2"]
        await until_done_again(hospital)
    assert filed(ehr, NAME)


# --- 33: refusals with an OperationOutcome ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (422, outcome("error", "required", "DocumentReference.subject"), "422 for DocumentReference: error required DocumentReference.subject"),
        (400, outcome("error", "required", "DocumentReference.context.encounter", "59108"), "400 for DocumentReference: error required 59108 DocumentReference.context.encounter"),
        (422, outcome("fatal", "exception"), "422 for DocumentReference: fatal exception"),
        (400, outcome("Mrs. Hale", "Mrs. Hale", "Mrs. Hale", "Mrs. Hale"), "400 for DocumentReference"),
        (413, outcome("error", "too-long"), "413 for DocumentReference: error too-long"),
    ],
)  # fmt: skip
async def test_case_33_a_refusal_is_told_in_codes_and_paths(
    status: int, said: Json, words: str, tmp_path: Path
) -> None:
    scripted = Scripted(ehr := StrictR4())
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", status, said)
        await tell_of(hospital, NAME)
        assert (await hospital.until("parked", KEY, reason="ehr_refused"))["detail"] == words
        await until_done_again(hospital)
    assert filed(ehr, NAME)


async def test_case_33_an_ehr_that_wants_another_profile_says_which_element_is_wrong(tmp_path: Path) -> None:
    async with open_house_at(ehr := OracleHealth(), "us-core", tmp_path) as hospital:
        await tell_of(hospital, NAME)
        parked = await hospital.until("parked", KEY, reason="ehr_refused")
    assert parked["detail"] == "422 for DocumentReference: error value DocumentReference.docStatus"
    assert not ehr.notes


@pytest.mark.parametrize("severity", ["error", "fatal"])
async def test_case_33_a_success_that_tells_of_errors_files_nothing(severity: str, tmp_path: Path) -> None:
    scripted = Scripted(ehr := StrictR4())
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", 200, outcome(severity, "business-rule"))
        await tell_of(hospital, NAME)
        parked = await hospital.until("parked", KEY)
        assert parked["reason"] == "ehr_answered_errors"
        assert "business-rule" in parked["detail"]
        assert "Hale" not in parked["detail"]
        assert filed(ehr)
        await until_done_again(hospital)
    assert filed(ehr, NAME)


async def test_case_33_a_success_with_warnings_is_a_success(tmp_path: Path) -> None:
    scripted = Scripted(ehr := StrictR4())
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        headers = {"Location": "DocumentReference/n1", "ETag": 'W/"1"'}
        scripted.will_answer("POST", "DocumentReference", 201, outcome("warning", "value"), headers=headers, done=True)
        await tell_of(hospital, NAME)
        await hospital.until("done", KEY)
    assert filed(ehr, NAME)


# --- 34: what stands in between -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [HTML, b""], ids=["html", "empty"])
async def test_case_34_a_gateway_that_forbids_needs_a_person_and_is_not_quoted(body: bytes, tmp_path: Path) -> None:
    scripted = Scripted(ehr := StrictR4())
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", 403, body, headers=PAGE)
        await tell_of(hospital, NAME)
        parked = await hospital.until("parked", KEY, reason="ehr_refused")
        assert parked["detail"].startswith("403 for DocumentReference")
        assert "Hale" not in parked["detail"]
        await until_done_again(hospital)
    assert filed(ehr, NAME)


@pytest.mark.parametrize(
    ("body", "kind", "done"),
    [(HTML, "text/html", True), (HTML, "application/fhir+json", False), (b"", "text/html", False), (b"", "text/html", True)],
)  # fmt: skip
async def test_case_34_a_gateway_that_lost_its_server_may_have_passed_the_note_on(
    kind: str, done: bool, body: bytes, tmp_path: Path
) -> None:
    scripted = Scripted(ehr := StrictR4())
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", 502, body, headers={"content-type": kind}, done=done)
        await tell_of(hospital, NAME)
        waiting = await hospital.until("waiting", KEY, reason="answer_lost")
        assert "Hale" not in json.dumps(waiting)
        await until_done_again(hospital)
    assert filed(ehr, NAME)


@pytest.mark.parametrize(("status", "reason"), [(502, "ehr_unavailable"), (200, "ehr_answer_not_fhir")])
async def test_case_34_a_gateways_page_in_the_place_of_a_resource_is_waited_out(
    status: int, reason: str, tmp_path: Path
) -> None:
    scripted = Scripted(ehr := StrictR4())
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        scripted.will_answer("GET", "Patient", status, HTML, headers=PAGE)
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason=reason)
        await until_done_again(hospital)
    assert filed(ehr, NAME)


# --- 37: closed for notes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 409, 422])
async def test_case_37_a_note_for_an_encounter_that_is_closed_for_notes_waits_for_a_person(
    status: int, tmp_path: Path
) -> None:
    scripted = Scripted(ehr := Epic())
    closed = outcome("error", "business-rule", "DocumentReference.context.encounter")
    async with open_house_at(ehr, "epic", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", status, closed)
        await tell_of(hospital, NAME)
        parked = await hospital.until("parked", KEY, reason="ehr_refused")
        assert parked["detail"] == f"{status} for DocumentReference: error business-rule DocumentReference.context.encounter"  # fmt: skip
        assert (scripted.posted(), filed(ehr)) == (1, True)
        await until_done_again(hospital)
    assert filed(ehr, NAME)


# --- 40: dropped in silence --------------------------------------------------------------------------------------------------------


def dropped(element: str) -> float:
    return REGISTRY.get_sample_value("ambient_ehr_dropped_total", {"element": element}) or 0.0


async def test_case_40_what_the_ehr_drops_in_silence_is_noticed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(Log(format="json", level="warning"))
    scripted = Scripted(ehr := OracleHealth())
    before = dropped("identifier"), dropped("meta.security")
    async with open_house_at(ehr, "oracle-health", tmp_path, through=scripted) as hospital:
        for number in (1, 2):
            await tell_of(hospital, visit_name(number))
            await hospital.until("done", f"Encounter/{visit_name(number)}")
    read = [asked.path for asked in scripted.seen if asked.method == "GET" and "/" in asked.path]
    assert read == ["DocumentReference/n1"]
    assert (dropped("identifier"), dropped("meta.security")) == (before[0] + 1, before[1] + 1)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "ehr_dropped_elements" in line]
    assert [(line["level"], line["detail"]) for line in told] == [("warning", "description, identifier, meta.security")]


async def test_case_40_an_ehr_that_keeps_everything_is_not_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(Log(format="json", level="warning"))
    async with open_house_at(StrictR4(), "us-core", tmp_path) as hospital:
        await tell_of(hospital, NAME)
        await hospital.until("done", KEY)
    assert "ehr_dropped_elements" not in capsys.readouterr().err


class Forgetful(StrictR4):
    """Says that it creates conditionally on an identifier, and drops every identifier."""

    def create(self, asked: Asked) -> Told:
        told = super().create(asked)
        for held in self.notes.values():
            held.versions[-1] = only(held.versions[-1], *(held.versions[-1].keys() - {"identifier"}))
        return told


async def test_case_40_a_condition_on_an_identifier_that_is_dropped_is_not_relied_on(tmp_path: Path) -> None:
    ehr, other = Forgetful(), visit_name(2)
    scripted = Scripted(ehr)
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        await tell_of(hospital, NAME)
        await hospital.until("done", KEY)
        scripted.will_answer("POST", "DocumentReference", 504, done=True)
        await tell_of(hospital, other)
        await hospital.until("waiting", f"Encounter/{other}", reason="answer_lost")
        await again(hospital, f"Encounter/{other}")
        await hospital.until("done", f"Encounter/{other}")
    assert filed(ehr, NAME, other)
    assert scripted.posted() == 2
