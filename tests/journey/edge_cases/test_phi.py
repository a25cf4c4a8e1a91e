"""Patient data in logs, metrics, exception texts, headers of dead letters and URLs: none, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import NeedsPerson, NotYet, Rejected, Retryable
from tests.journey.hospital import open_hospital
from tests.journey.marked import HEADERS, MARK, OUTCOME, PATIENT, Watch, marked_visit, watching
from tests.journey.wired import open_wired


@pytest.fixture
def watch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Watch]:
    with watching(tmp_path, capfd) as watch:
        yield watch


async def test_case_51_a_filed_note_leaves_no_patient_data_in_logs_metrics_and_files(
    watch: Watch, tmp_path: Path
) -> None:
    async with open_hospital(tmp_path) as hospital:
        await hospital.tell(*await marked_visit(hospital))
        visit = await hospital.until("done")
        assert MARK in str(await hospital.notes())
    watch.saw_nothing(visit, least=10)


async def test_case_51_a_refusal_that_quotes_the_patient_is_told_without_its_words(
    watch: Watch, tmp_path: Path
) -> None:
    async with open_wired(tmp_path) as (hospital, wire):
        events = await marked_visit(hospital)
        wire.will_answer("POST", "DocumentReference", 422, OUTCOME, headers=HEADERS)
        await hospital.tell(*events)
        visit = await hospital.until("parked", reason="ehr_refused")
    assert visit["detail"].startswith("422 for DocumentReference: error invalid")
    watch.saw_nothing(visit)


async def test_case_51_the_id_of_a_patient_in_a_url_is_in_no_log_line(watch: Watch, tmp_path: Path) -> None:
    async with open_wired(tmp_path) as (hospital, wire), hospital.http() as http:
        events = await marked_visit(hospital)
        wire.will_answer("GET", "Patient", 403, OUTCOME, times=9)
        await hospital.tell(*events)
        visit = await hospital.until("parked", reason="ehr_refused")
        await http.get(f"/sandbox/fhir/R4/Patient/{PATIENT}")
    assert visit["detail"].startswith("403 for the Patient")
    watch.saw_nothing(visit)


async def test_case_51_a_dead_letter_says_only_why(watch: Watch, tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        await hospital.publish(f"{MARK} is not JSON".encode())
        (letter,) = await hospital.house.letters.list_letters(None, 10, None)
    assert letter["reason"] == "not_json"
    watch.saw_nothing(letter, least=1)


@pytest.mark.parametrize(
    "error", [Rejected("x", f"Patient/{PATIENT}"), NotYet("x", 1, f"Patient/{PATIENT}"), Retryable("x", f"Patient/{PATIENT}"), NeedsPerson("x", f"Patient/{PATIENT} is gone")]
)  # fmt: skip
def test_case_51_no_error_names_a_patient(error: Rejected | NotYet | Retryable | NeedsPerson) -> None:
    assert MARK not in f"{error} {error.detail}"
    assert "the Patient" in error.detail
