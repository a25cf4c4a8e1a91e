"""Topology and user of an administrator's making: what works with the least rights, and what is said of what is missing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from adapters.database.canaries import SqlCanaries
from adapters.database.database import Database
from service.errors import BadConfiguration
from service.events.delivery import Taken
from service.workflow.canary import Canary, CanaryMissing
from tests.integration.taking_in import DEAD, EVENTS, Intake, connect, send
from tests.nodes.queue_operator import Operator
from tests.nodes.rabbitmq import RabbitNode

LEAST = (r"^$", r"^(fhir\.events|ambient\.dlx)$", r"^ambient\.events$")


class Users:
    """The URLs of a worker with the least rights, and of users who lack one of them."""

    def __init__(self, node: RabbitNode, url: str) -> None:
        vhost, mark = url.rpartition("/")[2], secrets.token_hex(3)
        configure, write, read = LEAST
        rights = {
            "worker": LEAST,
            "silent": (configure, r"^ambient\.dlx$", read),
            "blind": (configure, write, r"^$"),
        }
        node.add_users(vhost, **{f"{name}-{mark}": may for name, may in rights.items()})
        self.worker, self.silent, self.blind = (url.replace("guest:guest@", f"{n}-{mark}:secret@") for n in rights)


@pytest.fixture
async def users(rabbitmq: str, rabbitmq_node: RabbitNode) -> Users:
    async with connect(rabbitmq):
        return await asyncio.to_thread(Users, rabbitmq_node, rabbitmq)


@pytest.fixture
async def operator(rabbitmq: str) -> AsyncIterator[Operator]:
    async with Operator.connect(rabbitmq) as operator:
        yield operator


async def back(canary: Canary) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                return await canary.check()
            except CanaryMissing:
                await asyncio.sleep(0.05)


async def test_the_least_rights_suffice_to_work(users, operator, database: Database):
    intake = Intake(Taken("dead", "not_fhir"))
    async with connect(users.worker, declare=False) as broker:
        assert await broker.lacks() == []
        canary = Canary(broker, SqlCanaries(database))
        async with broker.consume(canary.before(intake)) as consumer, canary.flying():
            await consumer.check()
            await back(canary)
            await operator.publish(EVENTS, b"1")
            await operator.wait_for_depth(DEAD, 1)
    assert [delivery.body for delivery in intake.seen] == [b"1"]
    assert await operator.depth(EVENTS) == 0


async def test_who_may_not_write_does_without_the_canary(users, operator, database: Database):
    intake = Intake(Taken("dead", "not_fhir"))
    async with connect(users.silent, declare=False) as broker:
        assert "may not write" in " ".join(await broker.lacks())
        canary = Canary(broker, SqlCanaries(database))
        async with broker.consume(canary.before(intake)) as consumer, canary.flying():
            await back(canary)
            await consumer.check()
            await operator.publish(EVENTS, b"1")
            await operator.wait_for_depth(DEAD, 1)


async def test_who_may_not_read_is_told(users):
    async with connect(users.blind, declare=False) as broker:
        assert await broker.lacks() == ["the user may not read queue ambient.events"]
        with pytest.raises(BadConfiguration, match=r"Grant read on ambient\.events"):
            async with broker.consume(Intake()):
                pass


async def test_without_its_binding_there_is_no_canary_and_the_doctor_says_so(rabbitmq, operator, database: Database):
    async with connect(rabbitmq):
        await operator.unbind(EVENTS, "fhir.events", "ambient.canary")
    async with connect(rabbitmq, declare=False) as broker:
        (missing,) = await broker.lacks()
        assert "no queue is bound" in missing
        assert "all bindings of ambient.events" in missing
        canary = Canary(broker, SqlCanaries(database))
        async with broker.consume(Intake()), canary.flying():
            await back(canary)
            await send(broker)


async def test_a_canary_that_another_process_takes_comes_back_too(rabbitmq, database: Database):
    canaries = SqlCanaries(database)
    async with connect(rabbitmq) as broker, connect(rabbitmq) as other:
        mine, theirs = Canary(broker, canaries), Canary(other, canaries)
        async with other.consume(theirs.before(Intake())), mine.flying():
            with pytest.raises(CanaryMissing):
                await mine.check()
            await back(mine)
            with pytest.raises(CanaryMissing):
                await theirs.check()
