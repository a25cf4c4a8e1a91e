"""Marked patient data goes through the whole path, well and through every kind of failure: no mark comes out anywhere."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from adapters.ambient.client import AmbientClient
from adapters.database.database import Database
from service.settings import read_settings
from service.workflow.ports import AnswerLost
from tests.journey.hospital import Hospital, Json, open_hospital
from tests.journey.marked import HEADERS, LETTERS, MARK, OUTCOME, PAGE, PATIENT, Watch, marked_visit, patient, watching
from tests.journey.wired import open_wired
from tests.scratch import url_of


@pytest.fixture
def watch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Watch]:
    with watching(tmp_path, capfd) as watch:
        yield watch


async def shown(hospital: Hospital) -> list[Any]:
    """Everything that the operations API shows without being asked for a body."""
    visits = await hospital.house.visits.list_visits(None, 100, None)
    each = [await hospital.house.visits.show_visit(visit["id"]) for visit in visits]
    letters = await hospital.house.letters.list_letters(None, 100, None)
    return [visits, each, letters]


async def test_a_note_that_is_filed_takes_every_mark_with_it(watch: Watch, tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        await hospital.tell(*await marked_visit(hospital))
        await hospital.until("done")
        (note,) = await hospital.notes()
        everything = await shown(hospital)
        (made,) = await hospital.house.ehr.search("Provenance", {})
    assert note["subject"]["reference"] == f"Patient/{PATIENT}"
    watch.saw_nothing(*everything, made, least=10)


# --- what the EHR answers ----------------------------------------------------------------------------------------------

REFUSALS = [
    ("POST", "DocumentReference", 422, OUTCOME, "parked", "ehr_refused"),
    ("POST", "DocumentReference", 400, PAGE, "parked", "ehr_refused"),
    ("POST", "DocumentReference", 200, OUTCOME, "parked", None),
    ("POST", "DocumentReference", 502, PAGE, "waiting", "answer_lost"),
    ("POST", "DocumentReference", 500, OUTCOME, "waiting", "ehr_unavailable"),
    ("GET", "Patient", 403, OUTCOME, "parked", "ehr_refused"),
    ("GET", "Patient", 404, OUTCOME, "waiting", "not_in_ehr"),
    ("GET", "Patient", 500, OUTCOME, "waiting", "ehr_unavailable"),
    ("GET", "Patient", 200, PAGE, "waiting", "ehr_answer_not_fhir"),
    ("GET", "Patient", 200, {"resourceType": "Patient", "id": f"{MARK}-p2"}, "parked", "ehr_answered_another_resource"),
    ("GET", "Patient", 200, patient(link=[{"type": "replaced-by", "other": {"reference": f"Patient/{MARK}-p2"}}]), "parked", "patient_merged"),
    ("GET", "Patient", 410, OUTCOME, "parked", "patient_gone"),
    ("GET", "Binary", 403, PAGE, "parked", "audio_refused"),
    ("GET", "Binary", 200, f"{MARK} is no recording".encode(), "parked", "recording_refused"),
    ("POST", "Provenance", 422, OUTCOME, "done", None),
    ("POST", "Device", 400, PAGE, "done", None),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS, ids=[f"{c[0]}-{c[1]}-{c[2]}-{c[5] or c[4]}" for c in REFUSALS])
async def test_what_the_ehr_answers_is_not_repeated(watch: Watch, tmp_path: Path, case: Any) -> None:
    method, kind, status, content, state, reason = case
    async with open_wired(tmp_path) as (hospital, wire):
        events = await marked_visit(hospital)
        wire.will_answer(method, kind, status, content, headers=HEADERS, times=99)
        await hospital.tell(*events)
        await hospital.until(state, reason=reason)
        everything = await shown(hospital)
    watch.saw_nothing(*everything)


async def test_a_period_of_words_is_not_repeated(watch: Watch, tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        encounter, media = await marked_visit(hospital)
        await hospital.tell({**encounter, "period": {"start": MARK, "end": MARK}, "class": {"code": MARK}}, media)
        await hospital.until("done")
        watch.saw_nothing(*await shown(hospital))


# --- what the ambient API answers ----------------------------------------------------------------------------------------

ENGINE = [
    (400, {"requestid": MARK, "status": 400, "type": MARK, "detail": f"{MARK} coughs"}, "parked", "engine_refused"),
    (403, PAGE, "parked", "engine_refused"),
    (503, {"type": MARK, "detail": MARK}, "waiting", "engine_unavailable"),
    (200, PAGE, "waiting", "engine_answer_unreadable"),
    (200, {"interactions": MARK}, "waiting", "engine_answer_unreadable"),
]


@pytest.mark.parametrize(("status", "content", "state", "reason"), ENGINE)
async def test_what_the_engine_answers_is_not_repeated(
    watch: Watch, tmp_path: Path, status: int, content: Any, state: str, reason: str
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        body: dict[str, Any] = {"content": content} if isinstance(content, bytes) else {"json": content}
        return httpx.Response(status, headers=HEADERS, **body)

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="https://engine.test/v2")
    async with open_hospital(tmp_path) as hospital, http:
        hospital.house.ambient = AmbientClient(http, tenant="base")
        await hospital.tell(*await marked_visit(hospital))
        await hospital.until(state, reason=reason)
        watch.saw_nothing(*await shown(hospital))


# --- what goes wrong in here -----------------------------------------------------------------------------------------------


class Failing:
    """A port of which one call fails, with a text that holds everything."""

    def __init__(self, port: Any, call: str, error: BaseException) -> None:
        self._port, self._call, self._error = port, call, error

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == self._call else getattr(self._port, name)

    async def _fail(self, *_: Any, **__: Any) -> Any:
        try:
            raise LookupError(f"of {MARK}")
        except LookupError as cause:
            raise self._error from cause


def a_request_error() -> httpx.RequestError:
    return httpx.ReadTimeout(MARK, request=httpx.Request("GET", f"https://ehr.test/Patient/{PATIENT}?name={MARK}"))


BUGS: list[tuple[str, str, BaseException]] = [
    ("ehr", "read", RuntimeError(f"{MARK} has a cough")),
    ("ehr", "create_once", ExceptionGroup(MARK, [ValueError(MARK)])),
    ("ehr", "create_once", a_request_error()),
    ("ambient", "create_interaction", KeyError(MARK)),
    ("ambient", "create_document", UnicodeDecodeError("utf-8", MARK.encode(), 0, 1, MARK)),
    ("leases", "is_overtaken", ValueError(MARK)),
]


@pytest.mark.parametrize(("port", "call", "error"), BUGS)
async def test_a_bug_is_told_without_its_words(
    watch: Watch, tmp_path: Path, port: str, call: str, error: BaseException
) -> None:
    async with open_hospital(tmp_path) as hospital:
        setattr(hospital.house, port, Failing(getattr(hospital.house, port), call, error))
        await hospital.tell(*await marked_visit(hospital)) if port != "ehr" else await _told_by(hospital)
        visit = await hospital.until("parked", reason="unexpected_error")
        assert type(error).__name__ in visit["detail"]
        watch.saw_nothing(*await shown(hospital))


async def _told_by(hospital: Hospital) -> None:
    """What is put into the EHR goes past the failing port."""
    failing = hospital.house.ehr
    hospital.house.ehr = failing._port  # type: ignore[attr-defined]
    events = await marked_visit(hospital)
    hospital.house.ehr = failing
    await hospital.tell(*events)


async def test_a_lost_answer_is_told_without_its_words(watch: Watch, tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        events = await marked_visit(hospital)
        hospital.house.ehr = Failing(hospital.house.ehr, "create_once", AnswerLost(MARK))  # type: ignore[assignment]
        await hospital.tell(*events)
        await hospital.until("waiting", reason="answer_lost")
        watch.saw_nothing(*await shown(hospital))


async def in_the_database(folder: Path, statement: str) -> None:
    settings = read_settings(database={"url": url_of(folder / "ambient.db")}).database
    async with Database.connect(settings) as database, database.transaction() as connection:
        await connection.execute(text(statement))


async def test_what_the_database_refuses_is_told_without_its_values(watch: Watch, tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        events = await marked_visit(hospital)
        for table, what in (("facts", "INSERT"), ("facts", "UPDATE"), ("dead_letters", "INSERT")):
            refuse = f"BEGIN SELECT RAISE(ABORT, '{MARK} is in the way'); END"
            await in_the_database(tmp_path, f"CREATE TRIGGER no_{table}_{what} BEFORE {what} ON {table} {refuse}")
        for body in (f"{MARK} is not JSON".encode(), _json(events[1])):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await hospital.publish(body)
        watch.saw_nothing(*await shown(hospital))
    assert "IntegrityError" in watch.logged.getvalue()


def _json(resource: Json) -> bytes:
    import orjson

    return orjson.dumps(resource)


async def test_a_run_that_is_cut_off_says_nothing(watch: Watch, tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        reached = asyncio.Event()

        class Hanging(Failing):
            async def _fail(self, *_: Any, **__: Any) -> Any:
                reached.set()
                await asyncio.sleep(60)

        events = await marked_visit(hospital)
        hospital.house.ehr = Hanging(hospital.house.ehr, "create_once", ValueError(MARK))  # type: ignore[assignment]
        await hospital.tell(*events)
        await asyncio.wait_for(reached.wait(), 10)
        everything = await shown(hospital)
        for task in asyncio.all_tasks():
            if "Runner._run" in repr(task.get_coro()):
                task.cancel(MARK)
        await asyncio.sleep(0.05)
    watch.saw_nothing(*everything)


async def test_a_task_that_nobody_waits_for_is_told_of_without_its_words(watch: Watch) -> None:
    async def fail() -> None:
        raise RuntimeError(MARK)

    nobodys = asyncio.create_task(fail())
    await asyncio.sleep(0.01)
    del nobodys
    gc.collect()
    watch.saw_nothing(least=1)
    assert "RuntimeError" in watch.logged.getvalue()


# --- dead letters, callers ----------------------------------------------------------------------------------------------


async def test_a_dead_letter_is_told_of_without_its_body(watch: Watch, tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        for body in LETTERS:
            await hospital.publish(body, "fhir.Media.update")
        everything = await shown(hospital)
    assert len(everything[2]) >= 5
    watch.saw_nothing(*everything, least=5)


CALLS = [
    ("GET", f"/sandbox/fhir/R4/Patient/{PATIENT}"),
    ("GET", f"/sandbox/fhir/R4/Patient?identifier={MARK}"),
    ("GET", f"/sandbox/fhir/R4/{MARK}/1"),
    ("GET", f"/visits/Patient/{PATIENT}"),
    ("GET", f"/visits/{MARK}/provenance"),
    ("POST", f"/visits/{MARK}/retry?{MARK}=1"),
    ("GET", f"/dead-letters/{MARK}"),
    ("GET", f"/v2/interactions/{MARK}/transcripts/{MARK}?{MARK}={MARK}"),
    ("GET", f"/{MARK}"),
    ("POST", "/events"),
]


async def test_a_callers_url_and_body_are_not_logged(watch: Watch, tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital, hospital.http() as http:
        for method, path in CALLS:
            await http.request(method, path, headers={"Tenant-Name": "base", "X-Patient": MARK}, content=MARK)
    watch.saw_nothing()


async def test_what_commands_print_holds_no_words_of_the_patient(watch: Watch, tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        await hospital.tell(*await marked_visit(hospital))
        await hospital.until("done")
    places = {
        "AMBIENT_DATABASE__URL": url_of(tmp_path / "ambient.db"),
        "AMBIENT_BLOBS__URL": f"file:{tmp_path}/blobs",
        "AMBIENT_LOG__LEVEL": "debug",
    }

    async def printed(*command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service", *command, env={**os.environ, **places},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        return (await process.communicate())[0].decode()

    said = await printed("visits", "retry", "--dry-run", "Encounter/e1")
    assert "would_end" in said
    watch.saw_nothing(said)
