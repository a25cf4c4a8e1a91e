"""The canary: what proves that deliveries flow, and what is no canary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.database.canaries import SqlCanaries
from adapters.database.database import Database
from adapters.in_memory.broker import InMemoryBroker
from service.errors import Retryable
from service.events.delivery import Delivery, Taken
from service.settings import Broker, read_settings
from service.telemetry import CANARY_SECONDS
from service.workflow.canary import BODY, HEADER, ROUTING_KEY, UNNOTED, Canary, CanaryMissing, name_in
from service.workflow.ports import PublishFailed, PublishRefused
from tests.ambient_service import logged

CANARY = Delivery(BODY, routing_key=ROUTING_KEY, headers={HEADER: "host:1:ab"})


@pytest.fixture
async def canaries(tmp_path: Path) -> AsyncIterator[SqlCanaries]:
    settings = read_settings(database={"url": f"sqlite+aiosqlite:///{tmp_path}/canaries.db"})
    async with Database.connect(settings.database) as database:
        await database.migrate()
        yield SqlCanaries(database)


@pytest.fixture
async def broker() -> AsyncIterator[InMemoryBroker]:
    async with InMemoryBroker.connect(Broker(), attempts=1) as broker:
        yield broker


class Intake:
    def __init__(self) -> None:
        self.seen: list[Delivery] = []

    async def __call__(self, delivery: Delivery) -> Taken:
        self.seen.append(delivery)
        return Taken("stored")


async def until(canary: Canary, well: bool) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await canary.check()
                if well:
                    return
            except CanaryMissing:
                if not well:
                    return
            await asyncio.sleep(0.01)


async def test_it_is_missing_until_the_first_came_back(broker, canaries):
    canary, intake = Canary(broker, canaries, again=0.05), Intake()
    CANARY_SECONDS.set(-1)
    async with canary.flying():
        await asyncio.sleep(0.1)
        with pytest.raises(CanaryMissing):
            await canary.check()
        async with broker.consume(canary.before(intake)):
            await until(canary, well=True)
    assert intake.seen == []
    assert 0 <= CANARY_SECONDS.collect()[0].samples[0].value < 5


async def test_it_goes_missing_when_deliveries_stop(broker, canaries):
    canary = Canary(broker, canaries, every=0.05, again=0.05, patience=0.5)
    async with canary.flying():
        async with broker.consume(canary.before(Intake())):
            await until(canary, well=True)
            await asyncio.sleep(0.7)
            await until(canary, well=True)
        await until(canary, well=False)
        async with broker.consume(canary.before(Intake())):
            await until(canary, well=True)


async def test_what_this_process_took_in_is_a_sign_of_life_and_another_ones_canary_is_none(broker, canaries):
    canary = Canary(broker, canaries)
    take = canary.before(Intake())
    assert await take(CANARY) == Taken("ignored", "canary")
    with pytest.raises(CanaryMissing):
        await canary.check()
    assert await take(replace(CANARY, body=b"{}")) == Taken("stored")
    await canary.check()


class Binding(InMemoryBroker):
    """A broker whose binding of the canary comes and goes; what is accepted may be lost."""

    bound = True
    loses = False
    sent = 0

    async def publish(self, body: bytes, *, routing_key: str, **properties: Any) -> None:
        if not self.bound:
            raise PublishRefused("no queue is bound to this routing key")
        self.sent += 1
        if not self.loses:
            await super().publish(body, routing_key=routing_key, **properties)


@pytest.fixture
def binding() -> Binding:
    return Binding(Broker(), 1, 0)


async def test_where_it_was_never_accepted_only_the_watchdog_counts_and_it_is_said_once(binding, canaries, caplog):
    binding.bound = False
    canary = Canary(binding, canaries, every=0.01, again=0.01)
    async with canary.flying():
        await until(canary, well=True)
        await asyncio.sleep(0.1)
        await canary.check()
    assert [line["event"] for line in logged(caplog) if "canary" in line["event"]] == ["canary_not_bound"]


async def test_a_binding_made_later_is_used_without_a_moment_of_doubt(binding, canaries):
    binding.bound = False
    canary = Canary(binding, canaries, every=0.05, again=0.05, patience=0.5)
    async with canary.flying():
        await until(canary, well=True)
        async with binding.consume(canary.before(Intake())):
            binding.bound = True
            for _ in range(70):
                await canary.check()
                await asyncio.sleep(0.01)
            assert binding.sent > 1
        binding.loses = True
        await until(canary, well=False)


async def test_a_binding_lost_later_is_missed_until_it_is_back(binding, canaries):
    canary = Canary(binding, canaries, every=0.05, again=0.05, patience=0.5)
    async with binding.consume(canary.before(Intake())), canary.flying():
        await until(canary, well=True)
        binding.bound = False
        await until(canary, well=False)
        binding.bound = True
        await until(canary, well=True)


class Away:
    """Canaries whose database is away while told so."""

    def __init__(self, canaries: SqlCanaries) -> None:
        self.canaries, self.away, self.asked = canaries, True, 0

    async def note(self, name: str) -> None:
        self._fail()
        await self.canaries.note(name)

    async def age(self, name: str) -> float | None:
        self.asked += 1
        self._fail()
        return await self.canaries.age(name)

    def _fail(self) -> None:
        if self.away:
            raise Retryable("database_unavailable")


async def test_while_the_database_is_away_one_canary_is_sent_and_not_held(binding, canaries):
    database = Away(canaries)
    canary = Canary(binding, database, every=0.4, again=0.01)
    take = canary.before(Intake())
    async with binding.consume(take), canary.flying():
        assert await take(CANARY) == UNNOTED
        await asyncio.sleep(1)
        assert binding.sent == 1
        assert 3 <= database.asked <= 9  # after 0, 10, 30, 70, 150, 310, 710 ms
        database.away = False
        await until(canary, well=True)


async def test_where_nothing_is_accepted_the_attempts_become_rare(canaries):
    class Full(InMemoryBroker):
        attempts = 0

        async def publish(self, *_: Any, **__: Any) -> None:
            self.attempts += 1
            raise PublishFailed("not confirmed")

    full = Full(Broker(), 1, 0)
    async with Canary(full, canaries, every=0.4, again=0.01).flying():
        await asyncio.sleep(1)
    assert 3 <= full.attempts <= 9


@pytest.mark.parametrize(
    "other",
    [
        {"body": b'{"resourceType":"Media","id":"1"}'},
        {"body": BODY + b" "},
        {"headers": {}},
        {"headers": {HEADER: ""}},
        {"headers": {HEADER: "x" * 65}},
        {"headers": {HEADER: "a\x00b"}},
        {"headers": {HEADER: "é"}},
    ],
)
def test_no_event_is_taken_for_a_canary(other):
    assert name_in(CANARY) == "host:1:ab"
    assert name_in(replace(CANARY, **other)) is None


def test_its_own_name_is_one(broker, canaries):
    names = {Canary(broker, canaries).name for _ in range(3)}
    assert len(names) == 3
    assert all(name_in(replace(CANARY, headers={HEADER: name})) for name in names)


async def test_leaving_takes_no_longer_than_a_moment_although_it_waits(broker, canaries):
    canary = Canary(broker, canaries, every=600)
    async with broker.consume(canary.before(Intake())):
        async with asyncio.timeout(5):
            async with canary.flying():
                await until(canary, well=True)


async def test_the_latest_sighting_counts_and_old_names_are_forgotten(canaries):
    assert await canaries.age("a") is None
    await canaries.note("a")
    await asyncio.sleep(0.3)
    assert 0.25 < (await canaries.age("a") or 0) < 20
    await canaries.note("a")
    assert (await canaries.age("a") or 0) < 0.25
    async with canaries.database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE canaries SET taken_at = '2020-01-01 00:00:00.000000'")
    assert (await canaries.age("a") or 0) > 1e8
    await canaries.note("b")
    assert await canaries.age("a") is None
