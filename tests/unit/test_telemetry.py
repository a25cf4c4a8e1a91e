"""What reaches the log: known keys, ids, types and places; never the words of a request, a resource or a stranger's exception."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from service.errors import NeedsPerson
from service.settings import Log
from service.telemetry import configure_logging, describe, frames

PHI = "Mrs. Hale has a cough"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root, written = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", written)
    configure_logging(Log(format="json", level="debug"))
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    assert PHI not in log.getvalue()
    assert "Hale" not in log.getvalue()
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_key_that_nobody_allowed_is_dropped_and_counted(log: io.StringIO) -> None:
    structlog.get_logger("service.x").info("step_done", visit="v1", patient=PHI, text=PHI)
    (line,) = lines(log)
    assert (line["event"], line["visit"], line["dropped"]) == ("step_done", "v1", 2)
    assert "patient" not in line


def test_bound_context_passes_the_same_list(log: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(visit="v1", note=PHI):
        structlog.get_logger().warning("x")
    assert lines(log)[0]["visit"] == "v1"


def failing(error: BaseException) -> None:
    patient = PHI  # a local that no frame may show
    assert patient
    raise error


@pytest.mark.parametrize(
    "error",
    [
        ValueError(PHI),
        KeyError(PHI),
        ExceptionGroup(PHI, [ValueError(PHI)]),
        UnicodeDecodeError("utf-8", PHI.encode(), 0, 1, PHI),
    ],
)
@pytest.mark.parametrize("ours", [True, False])
def test_an_exception_is_its_type_and_its_frames(log: io.StringIO, error: Exception, ours: bool) -> None:
    try:
        try:
            failing(error)
        except Exception as cause:
            raise RuntimeError(PHI) from cause
    except RuntimeError:
        if ours:
            structlog.get_logger().exception("failed", visit="v")
        else:
            logging.getLogger("some.library").exception("failed for %s", PHI)
    (line,) = lines(log)
    assert line["error"] == "RuntimeError"
    assert line["frames"][-1].startswith("test_telemetry.py:")


def test_an_exception_given_as_a_value_loses_its_text(log: io.StringIO) -> None:
    structlog.get_logger().warning("x", error=ValueError(PHI), detail=NeedsPerson("reason", "detail"))
    (line,) = lines(log)
    assert (line["error"], line["detail"]) == ("ValueError", "NeedsPerson: reason: detail")


def test_our_own_errors_keep_their_words() -> None:
    assert describe(NeedsPerson("ehr_refused", "400")) == "NeedsPerson: ehr_refused: 400"
    assert describe(ValueError(PHI)) == "ValueError"
    assert frames(ValueError(PHI)) == []


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_a_library_is_not_heard_below_warning(log: io.StringIO, level: int) -> None:
    logging.getLogger("some.library").log(level, "GET /Patient?name=%s", PHI)
    logging.getLogger("uvicorn.access").log(level, PHI)
    assert lines(log) == []


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR])
def test_of_a_librarys_warning_only_the_template_is_kept(log: io.StringIO, level: int) -> None:
    logging.getLogger("some.library").log(level, "could not parse %s", PHI)
    logging.getLogger("some.library").log(level, "could not parse %(what)s", {"what": PHI})
    for line, template in zip(lines(log), ("could not parse %s", "could not parse %(what)s"), strict=True):
        assert (line["event"], line["logger"], line["level"]) == (
            template,
            "some.library",
            logging.getLevelName(level).lower(),
        )


@pytest.mark.parametrize("message", [f"could not parse {PHI}", ValueError(PHI), [PHI], "a constant"])
def test_of_a_text_without_arguments_only_the_place_is_kept(log: io.StringIO, message: object) -> None:
    logging.getLogger("asyncio").error(message, extra={"patient": PHI}, stack_info=True)
    (line,) = lines(log)
    assert line["event"] == "library_message"
    assert line["detail"].startswith("test_telemetry:")


def test_arguments_that_do_not_fit_their_template_do_no_harm(log: io.StringIO) -> None:
    record = logging.LogRecord("some.library", logging.WARNING, __file__, 1, "%d and %d", (PHI,), None)
    logging.getLogger().handlers[0].handle(record)
    assert lines(log)[0]["event"] == "%d and %d"


@pytest.mark.usefixtures("log")
def test_the_console_shows_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Log(format="console", level="info"))
    try:
        failing(ValueError(PHI))
    except ValueError:
        structlog.get_logger().exception("failed", patient=PHI)
    logging.getLogger("asyncio").error(PHI)
    shown = capsys.readouterr().err
    assert "failed" in shown
    assert "Hale" not in shown


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError(PHI)

    __str__ = __repr__


def test_a_line_that_cannot_be_rendered_is_lost_without_its_words(log: io.StringIO) -> None:
    for message in ({"event": "x", "detail": Unprintable(), "reason": PHI}, Unprintable()):
        record = logging.LogRecord("x", logging.WARNING, "x.py", 1, message, (PHI,), None)
        record.__dict__ |= {"_logger": None, "_name": "warning"} if isinstance(message, dict) else {}
        logging.getLogger().handlers[0].emit(record)
    assert "Hale" not in log.getvalue()
    assert "log_line_lost ValueError" in log.getvalue()


UNCAUGHT = """
import gc, sys, threading, warnings
from service.commands.terminal import current_settings

class Dying:
    def __del__(self):
        raise RuntimeError("Mrs. Hale coughs")

def fail():
    raise KeyError("Mrs. Hale coughs")

current_settings()
warnings.warn("Mrs. Hale coughs")
thread = threading.Thread(target=fail, name="one")
thread.start(); thread.join()
Dying()
gc.collect()
"""


def test_what_nobody_catches_is_told_without_its_words() -> None:
    ran = subprocess.run([sys.executable, "-c", UNCAUGHT], capture_output=True, text=True, timeout=60, check=True)
    assert "Hale" not in ran.stdout + ran.stderr
    told = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["event"] for line in told] == ["library_message", "thread_failed", "finaliser_failed"]
    assert [line.get("error") for line in told] == [None, "KeyError", "RuntimeError"]
