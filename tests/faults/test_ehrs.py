"""Emulated EHRs that fail half of all writes: 200 visits each, and what became of every note (docs/faults.md)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.epic import Epic
from tests.ehrs.every import EVERY
from tests.ehrs.rounds import INDEX_LAG, run_visits
from tests.ehrs.strict_r4 import StrictR4

VISITS = 200


@pytest.mark.parametrize(("kind", "profile"), EVERY)
async def test_no_note_is_lost_and_none_is_there_twice(
    kind: type[EmulatedEhr], profile: str, tmp_path: Path, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    visits = VISITS if seconds >= 120 else max(round(seconds), 20)
    account = await run_visits(kind(), profile, visits, tmp_path)
    with capsys.disabled():
        sys.stdout.write(f"\n{account}\n")
    assert (account.filed, account.duplicates, account.lost, account.wrong) == (visits, 0, 0, [])
    assert account.adopted > 0
    assert (account.held > 0) is (kind is not StrictR4)


async def test_a_note_that_arrives_after_all_looks_is_adopted_by_the_person_who_finds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = await run_visits(Epic(), "epic", 40, tmp_path, writes={"late": 0.5}, hang=2 * INDEX_LAG + 1)
    with capsys.disabled():
        sys.stdout.write(f"\n{account}\n")
    assert (account.filed, account.duplicates, account.lost, account.wrong) == (40, 0, 0, [])
    assert account.adopted_by_a_person > 0
