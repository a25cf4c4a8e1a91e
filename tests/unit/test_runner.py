"""When runners claim, what they claim for a destination on its return, and how they stop where the database hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from service.errors import Retryable
from service.settings import read_settings
from service.workflow.destinations import Destination
from service.workflow.orphans import sweeping
from service.workflow.ports import Visits
from service.workflow.runner import Runner

WORKER = read_settings(worker={"poll": 0.01}).worker


class NoVisits:
    """A store in which nothing is due; it keeps what it was asked for."""

    def __init__(self) -> None:
        self.claims: list[dict[str, int]] = []
        self.asked = asyncio.Event()
        self.released = 0

    async def claim(self, owner: str, limit: int, lease: float, plan: Any, allowances: Mapping[str, int]) -> list[Any]:
        self.claims.append(dict(allowances))
        self.asked.set()
        return []

    async def claim_unswept(self, *_: Any) -> list[Any]:
        return await self.claim("", 0, 0.0, None, {})

    async def release(self, owner: str) -> int:
        self.released += 1
        return 0

    async def next_claim(self) -> dict[str, int]:
        """What is asked for from now on."""
        self.claims.clear()
        self.asked.clear()
        await self.asked.wait()
        return self.claims[-1]


class Hangs(NoVisits):
    async def claim(self, *args: Any) -> list[Any]:
        await super().claim(*args)
        return await asyncio.Future()


class Away(NoVisits):
    async def release(self, owner: str) -> int:
        await super().release(owner)
        raise Retryable("database_unavailable")


def runner(visits: NoVisits, *destinations: Destination) -> Runner:
    def work_on(_: Any) -> Any:
        raise AssertionError("nothing is due")

    return Runner(cast(Visits, visits), WORKER, work_on, lambda _: {}, asyncio.Event(), destinations)


async def test_a_claim_that_hangs_keeps_no_process_from_ending() -> None:
    visits = Hangs()
    async with asyncio.timeout(10):
        async with runner(visits).running(grace=0.1):
            await visits.next_claim()
    assert visits.released == 1


async def test_a_database_that_is_away_at_the_end_is_no_failure_of_the_process() -> None:
    visits = Away()
    async with runner(visits).running(grace=0.1):
        await visits.next_claim()
    assert visits.released == 1


async def test_a_sweep_that_hangs_keeps_no_process_from_ending() -> None:
    visits = Hangs()
    async with asyncio.timeout(20):
        async with sweeping(cast(Visits, visits), WORKER, cast(Any, None), every=0.01):
            await visits.next_claim()


async def test_a_runner_that_was_told_to_stop_claims_nothing_while_others_are_waited_for() -> None:
    visits = NoVisits()
    claiming = runner(visits)
    async with claiming.running(grace=0.1):
        await visits.next_claim()
        claiming.stop()
        await asyncio.sleep(0.05)
        visits.claims.clear()
        await asyncio.sleep(0.1)
        assert visits.claims == []


async def test_on_the_return_of_a_destination_only_what_is_free_of_its_allowance_is_claimed() -> None:
    seconds = [1000.0]
    visits, engine = NoVisits(), Destination("engine", WORKER.concurrency, lambda: seconds[0])
    async with runner(visits, engine).running(grace=0.1):
        assert await visits.next_claim() == {}
        with engine.call() as call:
            call.unanswered(no_connection=True)
        assert await visits.next_claim() == {"engine": 0}
        seconds[0] += engine.reopens_in
        assert await visits.next_claim() == {"engine": 1}
        with engine.call() as probe:
            assert await visits.next_claim() == {"engine": 0}
            probe.answered(200)
            assert await visits.next_claim() == {"engine": 1}
        assert await visits.next_claim() == {"engine": 2}
