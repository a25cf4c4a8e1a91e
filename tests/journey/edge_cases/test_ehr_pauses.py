"""An EHR that is down, or asks to be left alone: it is, by every visit, and nobody rushes in when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.ehrs.chart import visit_name, visit_of
from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.flaky import Flaky
from tests.ehrs.house import open_house_at, tell_of
from tests.ehrs.scripted import Scripted
from tests.ehrs.strict_r4 import StrictR4
from tests.faults.asgi import Receive, Scope, Send
from tests.journey.edge_cases.test_ehr_answers import KEY, NAME, filed


class Arrivals:
    """How many requests were open at each arrival. The app takes a moment for each."""

    def __init__(self, app: EmulatedEhr) -> None:
        self._app, self._open, self.opened = app, 0, list[int]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._open += 1
        self.opened.append(self._open)
        try:
            await asyncio.sleep(0.02)
            await self._app(scope, receive, send)
        finally:
            self._open -= 1


@pytest.mark.slow
@pytest.mark.parametrize("outage", ["refuse", "close"])
async def test_case_27_an_ehr_that_is_down_is_left_alone_and_drained_without_a_stampede(
    outage: str, tmp_path: Path
) -> None:
    names = [visit_name(number) for number in range(1, 17)]
    arrivals = Arrivals(ehr := StrictR4())
    flaky = Flaky(arrivals, reads={}, writes={}, hang=1)
    flaky.fall(outage, retry_after=1)
    async with open_house_at(ehr, "us-core", tmp_path, through=flaky) as hospital:
        for name in names:
            await hospital.tell(*visit_of(name))
        await asyncio.sleep(1.5)
        meanwhile = flaky.stats()["requests"]
        assert {(await hospital.visit(f"Encounter/{name}"))["state"] for name in names} == {"waiting"}
        flaky.rise()
        for name in names:
            await hospital.until("done", f"Encounter/{name}", seconds=20)
    assert filed(ehr, *names)
    assert meanwhile <= 8 + 2  # those under way when it was noticed, and one for each pause
    assert arrivals.opened[0] == 1
    assert all(opened <= 2 ** min(n - opened, 3) for n, opened in enumerate(arrivals.opened, 1))


# --- 28: leave me alone for a while --------------------------------------------------------------------------------------------


def in_a_second() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1.9), usegmt=True)


@pytest.mark.parametrize(("status", "wish"), [(429, lambda: "1"), (503, in_a_second)])
async def test_case_28_a_wished_pause_is_kept_by_all_visits(
    status: int, wish: Callable[[], str], tmp_path: Path
) -> None:
    ehr, other = StrictR4(), visit_name(2)
    scripted = Scripted(ehr)
    async with open_house_at(ehr, "us-core", tmp_path, through=scripted) as hospital:
        scripted.will_answer("POST", "DocumentReference", status, headers={"Retry-After": wish()})
        await tell_of(hospital, NAME)
        await hospital.until("waiting", KEY, reason="ehr_unavailable")
        asked = ehr.asked.total()
        await tell_of(hospital, other)
        await hospital.until("waiting", f"Encounter/{other}", reason="ehr_parked")
        await asyncio.sleep(0.3)
        assert ehr.asked.total() == asked
        for name in (NAME, other):
            await hospital.until("done", f"Encounter/{name}")
    assert filed(ehr, NAME, other)
