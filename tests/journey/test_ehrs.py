"""Each emulated EHR takes the notes of its profile, and while it fails none is lost and none is there twice.

With 200 visits each: `tests/faults/test_ehrs.py`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.ehrs.chart import PRACTITIONER, visit_name
from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.epic import Epic
from tests.ehrs.every import EVERY
from tests.ehrs.house import open_house_at, tell_of
from tests.ehrs.oracle_health import OracleHealth
from tests.ehrs.rounds import run_visits
from tests.ehrs.strict_r4 import StrictR4

NAME = visit_name(1)
VISITS = 20


@pytest.mark.parametrize(("kind", "profile"), EVERY)
async def test_each_ehr_takes_the_note_of_its_profile(kind: type[EmulatedEhr], profile: str, tmp_path: Path) -> None:
    async with open_house_at(ehr := kind(), profile, tmp_path) as hospital:
        await tell_of(hospital, NAME)
        await hospital.until("done", f"Encounter/{NAME}")
    note = ehr.notes["n1"].versions[-1]
    assert ehr.standing() == {f"Encounter/{NAME}": ["n1"]}
    assert ehr.text_of("n1").startswith("AI-drafted note.")
    assert f"this is recording {NAME}-1 ." in ehr.text_of("n1")
    assert note.get("docStatus") == {StrictR4: "preliminary", Epic: "preliminary", OracleHealth: "final"}.get(kind)
    assert {"reference": f"Practitioner/{PRACTITIONER}"} in note["author"]


@pytest.mark.slow
async def test_while_they_fail_no_note_is_lost_and_none_is_there_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / profile for _, profile in EVERY]
    for folder in folders:
        folder.mkdir()
    rounds = zip(EVERY, folders, strict=True)
    accounts = await asyncio.gather(*(run_visits(kind(), profile, VISITS, at) for (kind, profile), at in rounds))
    with capsys.disabled():
        sys.stdout.writelines(f"\n{account}" for account in accounts)
    for account in accounts:
        assert (account.filed, account.duplicates, account.lost, account.wrong) == (VISITS, 0, 0, []), account
        assert account.adopted > 0, account
    assert sum(account.held for account in accounts[1:]) > 0
    assert accounts[0].held == 0, "a conditional create needs nobody"
