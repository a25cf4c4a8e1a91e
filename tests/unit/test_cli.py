"""The commands: what they print, and how they end."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from service import __version__
from service.cli import main
from service.client_secrets import ScryptHash
from service.events.delivery import Delivery
from service.events.reading import read_events
from service.settings import read_settings
from tests.scratch import scratch_database


@pytest.fixture(autouse=True)
def what_nobody_catches_is_pytests_again() -> Iterator[None]:
    """A command takes Python's last words for its process."""
    hooks = sys.unraisablehook, threading.excepthook
    yield
    sys.unraisablehook, threading.excepthook = hooks
    logging.captureWarnings(False)


pytestmark = pytest.mark.slow

MEDIA = {
    "resourceType": "Media",
    "id": "m1",
    "status": "completed",
    "encounter": {"reference": "Encounter/e1"},
    "content": {"url": "Binary/1"},
}
COMMANDS = ["serve", "api", "worker", "migrate", "doctor", "demo", "export-openapi", "hash-secret", *(f"visits {verb}" for verb in ("list", "show", "retry", "discard")),
            *(f"dead-letters {verb}" for verb in ("list", "show", "collect", "replay", "discard"))]  # fmt: skip


@dataclass
class Ended:
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command in this process, on a scratch database and with whatever else is set."""

    def go(command: str, **variables: str) -> Ended:
        given = {
            "AMBIENT_DATABASE__URL": scratch_database(tmp_path),
            "AMBIENT_BLOBS__URL": f"file:{tmp_path}/blobs",
            "AMBIENT_LOG__LEVEL": "error",
            **variables,
        }
        monkeypatch.setattr(sys, "argv", ["ambient-fhir", *command.split()])
        with monkeypatch.context() as environment:
            for name, value in given.items():
                environment.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        shown = capsys.readouterr()
        assert "Traceback" not in shown.out + shown.err
        return Ended(int(ended.value.code or 0), shown.out, shown.err)

    return go


@pytest.fixture
def letter(tmp_path: Path) -> str:
    """A database with one visit and one dead letter, whose id this is."""

    async def fill() -> str:
        async with Database.connect(read_settings(database={"url": scratch_database(tmp_path)}).database) as database:
            inbox, delivery = SqlInbox(database), Delivery(json.dumps(MEDIA).encode())
            await inbox.store(delivery, read_events(delivery, "https://ehr.test"), "sandbox")
            return await inbox.store_dead(
                Delivery(b"{}", routing_key="fhir.Media.create"), "not_fhir", "DocumentReference.content[foo]"
            )

    return asyncio.run(fill())


@pytest.mark.parametrize("command", ["", "visits", "dead-letters", *COMMANDS])
def test_every_command_explains_itself(run: Run, command: str) -> None:
    ended = run(f"{command} --help")
    assert ended.code == 0
    assert "Usage" in ended.out


def test_the_version(run: Run) -> None:
    assert run("--version") == Ended(0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    "command",
    [
        "nonsense",
        "visits show",
        "visits list --limit 0",
        "visits list --state odd",
        "dead-letters list --limit x",
        "doctor --odd",
    ],
)
def test_wrong_arguments_end_with_2(run: Run, command: str) -> None:
    assert run(command).code == 2


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("demo", "export-openapi", "hash-secret")])
def test_a_wrong_setting_is_one_line_and_ends_with_2(run: Run, command: str) -> None:
    argument = " x" if command.rsplit(maxsplit=1)[-1] in ("show", "retry", "replay", "discard") else ""
    ended = run(command + argument, AMBIENT_HTTP__PORT="sesame")
    assert ended == Ended(
        2,
        "",
        "ambient-fhir: AMBIENT_HTTP__PORT: Input should be a valid integer, unable to parse string as an integer\n",
    )


@pytest.mark.parametrize("role", ["api", "worker"])
def test_roles_that_need_shared_things_say_so(run: Run, role: str) -> None:
    ended = run(role)
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(rf"ambient-fhir: `{role}` cannot share .*\n", ended.err)


def test_a_database_that_is_down_is_one_line_without_its_password(run: Run) -> None:
    ended = run("visits list", AMBIENT_DATABASE__URL="postgresql+asyncpg://u:sesame@127.0.0.1:1/x")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("ambient-fhir: ")
    assert ended.err.count("\n") == 1
    assert "sesame" not in ended.err


def test_an_empty_house(run: Run) -> None:
    assert run("visits list") == Ended(0, "none\n", "")
    assert run("dead-letters list --json") == Ended(0, "[]\n", "")


@pytest.mark.usefixtures("letter")
def test_visits_are_listed_shown_and_retried(run: Run) -> None:
    assert re.search(r"Encounter/e1 +waiting", run("visits list").out)
    (row,) = json.loads(run("visits list --state waiting --json").out)
    assert run("visits list --state done").out == "none\n"
    for name in ("Encounter/e1", row["id"]):
        shown = json.loads(run(f"visits show {name}").out)
        assert shown["facts"][0]["resource"] == "Media/m1"
        assert run(f"visits retry {name}") == Ended(0, f"{name} is due now\n", "")
    assert run("visits show Encounter/e2") == Ended(1, "", "ambient-fhir: no visit Encounter/e2\n")
    assert run("visits retry Encounter/e2") == Ended(1, "", "ambient-fhir: no visit Encounter/e2\n")


@pytest.mark.usefixtures("letter")
def test_a_dry_retry_says_what_would_happen(run: Run) -> None:
    before = run("visits show Encounter/e1")
    assert run("visits retry --dry-run Encounter/e1") == Ended(0, "would_wait not_in_ehr: Encounter/e1\n", "")
    assert run("visits show Encounter/e1") == before
    down = run("visits retry --dry-run Encounter/e1", AMBIENT_EHR__BASE_URL="http://127.0.0.1:1/fhir")
    assert down == Ended(0, "would_wait ehr_unreachable: ConnectError\n", "")
    assert run("visits retry --dry-run Encounter/e2") == Ended(1, "", "ambient-fhir: no visit Encounter/e2\n")


@pytest.mark.usefixtures("letter")
def test_a_visit_is_discarded_once(run: Run) -> None:
    told = "Encounter/e1 is discarded; notes that are filed stay as they are\n"
    assert run("visits discard Encounter/e1") == Ended(0, told, "")
    shown = json.loads(run("visits show Encounter/e1").out)
    assert (shown["state"], shown["reason"], shown["nextAt"]) == ("cancelled", "discarded", None)
    nothing_left = "ambient-fhir: Encounter/e1 is cancelled already: nothing is left to discard\n"
    assert run("visits discard Encounter/e1") == Ended(1, "", nothing_left)
    assert run("visits discard Encounter/e2") == Ended(1, "", "ambient-fhir: no visit Encounter/e2\n")


def test_dead_letters_are_listed_shown_and_discarded(run: Run, letter: str) -> None:
    listed = run("dead-letters list").out
    assert letter in listed
    assert "DocumentReference.content[foo]" in listed
    shown = json.loads(run(f"dead-letters show {letter}").out)
    assert (shown["body"], shown["reason"], shown["state"]) == ("{}", "not_fhir", "open")
    assert run(f"dead-letters discard {letter}") == Ended(0, f"{letter} is discarded\n", "")
    assert run(f"dead-letters discard {letter}").code == 1
    assert run("dead-letters list").out == "none\n"
    assert letter in run("dead-letters list --state discarded").out
    assert run("dead-letters show odd") == Ended(1, "", "ambient-fhir: no dead letter odd\n")


def test_a_secret_is_hashed_from_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("sésame 9c1f\n"))
    ended = run("hash-secret")
    assert (ended.code, ended.err) == (0, "")
    assert ScryptHash.read(ended.out.strip()).matches("sésame 9c1f")
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert run("hash-secret") == Ended(2, "", "ambient-fhir: no secret was given\n")
    assert run("hash-secret sesame").code == 2


def test_replaying_needs_a_broker_that_outlives_the_command(run: Run, letter: str) -> None:
    ended = run(f"dead-letters replay {letter}")
    assert ended.code == 2
    assert re.fullmatch(r"ambient-fhir: AMBIENT_BROKER__URL.*\n", ended.err)


def test_a_dry_replay_needs_no_broker(run: Run, letter: str) -> None:
    ended = run(f"dead-letters replay --dry-run {letter}", AMBIENT_BROKER__URL="amqp://u:sesame@127.0.0.1:1/")
    assert (ended.code, ended.err) == (1, "")
    assert re.fullmatch(r"rejected not_fhir: .*\n", ended.out)


def test_the_embedded_broker_has_no_dead_letters_of_its_own(run: Run) -> None:
    assert run("dead-letters collect") == Ended(0, "0 collected\n", "")


def test_migrating_is_repeatable(run: Run) -> None:
    assert run("migrate") == run("migrate") == Ended(0, "the schema is up to date\n", "")


def test_the_openapi_description_is_written(run: Run, tmp_path: Path) -> None:
    assert run(f"export-openapi --output {tmp_path}/openapi.json").code == 0
    assert "/events" in json.loads((tmp_path / "openapi.json").read_text())["paths"]


def lines(ended: Ended) -> dict[str, str]:
    return {line.split()[1]: line.split()[0] for line in ended.out.splitlines()}


def test_the_doctor_looks_at_everything(run: Run) -> None:
    ended = run("doctor")
    assert lines(ended) == dict.fromkeys(("authentication", "database", "broker", "blobs", "engine", "ehr"), "ok")
    assert ended.code == 0


def test_the_doctor_names_what_fails_and_goes_on(run: Run) -> None:
    down: dict[str, Any] = {
        "AMBIENT_EHR__BASE_URL": "http://127.0.0.1:1/fhir", "AMBIENT_ENGINE__URL": "http://127.0.0.1:1/v2", "AMBIENT_BROKER__URL": "amqp://u:sesame@127.0.0.1:1/",
        "AMBIENT_HTTP__HOST": "0.0.0.0", "AMBIENT_API__OIDC_ISSUER": "http://127.0.0.1:1",
    }  # fmt: skip
    ended = run("doctor", **down)
    assert ended.code == 1
    assert lines(ended) == {
        "authentication": "FAIL",
        "database": "ok",
        "broker": "FAIL",
        "blobs": "ok",
        "engine": "FAIL",
        "ehr": "FAIL",
        "issuer": "FAIL",
    }
    assert "sesame" not in ended.out + ended.err


def test_the_quick_doctor_asks_the_running_process_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:2")
    for host in ("127.0.0.1", "::1"):
        ended = run("doctor --quick", AMBIENT_HTTP__HOST=host, AMBIENT_HTTP__PORT="1")
        assert ended.code == 1
        assert re.match(r"FAIL  process +\[?[:.0-9]+\]?:1 does not answer", ended.out)
