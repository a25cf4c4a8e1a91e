"""docs/runbook.md knows every reason that the code can give, every metric, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from service import telemetry

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
FOLDERS = ("service/events", "service/workflow", "adapters")

REASON_IS_ARGUMENT = {
    "NotYet": 0, "Retryable": 0, "NeedsPerson": 0, "Rejected": 0, "Ignored": 0, "Ending": 1, "Settlement": 1,
}  # fmt: skip
WHOSE = ("ehr", "engine")  # what `{…}` stands for in a reason that adapters/oauth gives
NAMED_BY_VARIABLES = {
    "answer_lost",
    "discarded",
    "handshake",
    "heartbeat",
    "encounter_entered_in_error",
    "encounter_cancelled",
    "no_recording",
    "unexpected_error",
}


def test_every_reason_has_its_row() -> None:
    assert sorted(reasons() - rows()) == []


def test_no_row_is_about_a_reason_that_nothing_gives() -> None:
    assert sorted(rows() - reasons()) == []


@pytest.mark.parametrize(
    "metric", sorted(m for m in vars(telemetry) if isinstance(vars(telemetry)[m], Counter | Gauge | Histogram))
)
def test_every_metric_is_named(metric: str) -> None:
    family = next(iter(vars(telemetry)[metric].describe()))
    name = f"{family.name}_total" if family.type == "counter" else family.name
    assert f"`{name}`" in RUNBOOK


def rows() -> set[str]:
    """The first cells of the tables whose first column is headed `reason`; a cell may name several."""
    found: set[str] = set()
    for table in re.findall(r"^\| reason \|.*\n\|[-|]+\n((?:\|.*\n)+)", RUNBOOK, re.MULTILINE):
        for row in table.splitlines():
            found.update(re.findall(r"`(\w+)`", row.split("|")[1]))
    return found


def reasons() -> set[str]:
    return NAMED_BY_VARIABLES | {
        word for folder in FOLDERS for file in (ROOT / folder).rglob("*.py") for word in _given_in(file)
    }


def _given_in(file: Path) -> Iterator[str]:
    for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            continue
        place = REASON_IS_ARGUMENT.get(call.func.id)
        if place is not None and len(call.args) > place:
            yield from _words(call.args[place])


def _words(reason: ast.expr) -> Iterator[str]:
    match reason:
        case ast.Constant(value=str(word)):
            yield word
        case ast.IfExp(body=one, orelse=other):
            yield from (*_words(one), *_words(other))
        case ast.JoinedStr(values=[_, ast.Constant(value=str(rest))]):
            yield from (whose + rest for whose in WHOSE)
