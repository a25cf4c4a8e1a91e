"""What the adapter does when the broker, its connections or its queues go away."""

from __future__ import annotations

import asyncio

import pytest

from service.telemetry import CONSUMER_UP
from service.workflow.ports import ConsumerDown, PublishFailed
from tests.integration.taking_in import EVENTS, Intake, connect, eventually, send
from tests.nodes.queue_operator import Operator
from tests.nodes.rabbitmq import RabbitNode

SETTLED_AFTER = 2.2  # a quorum queue younger than about a second does not survive kill -9


def consumer_up() -> bool:
    return CONSUMER_UP.collect()[0].samples[0].value == 1


async def test_a_lost_connection_does_not_cancel_the_delivery_in_hand(rabbitmq, rabbitmq_node: RabbitNode):
    intake = Intake()
    intake.gate.clear()
    async with connect(rabbitmq) as broker, broker.consume(intake) as consumer:
        await send(broker, b"1")
        await intake.begun.get()
        await asyncio.to_thread(rabbitmq_node.close_connections)
        await asyncio.wait_for(intake.begun.get(), 15)  # redelivered while the first is still in hand
        intake.gate.set()
        await intake.wait_for({b"1"})
        await eventually(consumer.check)
        assert intake.cancelled == 0
        await send(broker, b"2")
        await intake.wait_for({b"1", b"2"})


async def test_everything_confirmed_arrives_although_the_broker_is_killed(rabbitmq, rabbitmq_node: RabbitNode):
    intake, confirmed = Intake(), set()
    async with connect(rabbitmq, watch_every=1) as broker, broker.consume(intake) as consumer:
        await asyncio.sleep(SETTLED_AFTER)
        publishing = asyncio.create_task(_publish_all(broker, confirmed, 300))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(rabbitmq_node.kill)
        with pytest.raises(ConsumerDown):
            await consumer.check()
        await asyncio.to_thread(rabbitmq_node.start)
        await publishing
        await eventually(consumer.check)
        assert len(confirmed) == 300
        await intake.wait_for(confirmed)
    async with Operator.connect(rabbitmq) as operator:
        assert await operator.depth(EVENTS) == 0


async def _publish_all(broker, confirmed: set[bytes], count: int) -> None:
    for n in range(count):
        body = str(n).encode()
        while body not in confirmed:
            try:
                await send(broker, body)
                confirmed.add(body)
            except PublishFailed:
                await asyncio.sleep(0.2)


async def test_a_deleted_queue_is_noticed_and_its_return_too(rabbitmq):
    intake = Intake()
    async with (
        connect(rabbitmq),  # the administrator who declares
        Operator.connect(rabbitmq) as operator,
        connect(rabbitmq, declare=False) as broker,
        broker.consume(intake) as consumer,
    ):
        await operator.delete_queue(EVENTS)
        with pytest.raises(ConsumerDown):
            await consumer.check()
        await asyncio.sleep(1)  # RabbitMQ 3.10 does not tell the consumers of a queue that is back within milliseconds
        async with connect(rabbitmq):
            await eventually(consumer.check)
        await send(broker, b"1")
        await intake.wait_for({b"1"})


async def test_a_deleted_queue_is_declared_again_where_declaring_is_allowed(rabbitmq):
    intake = Intake()
    async with connect(rabbitmq) as broker, broker.consume(intake) as consumer, Operator.connect(rabbitmq) as operator:
        await operator.delete_queue(EVENTS)
        await eventually(consumer.check)
        await send(broker, b"1")
        await intake.wait_for({b"1"})


async def test_the_watchdog_brings_a_lost_consumer_back(rabbitmq):
    intake = Intake()
    async with connect(rabbitmq, watch_every=0.5) as broker, broker.consume(intake) as consumer:
        assert consumer_up()
        await consumer.subscription.cancel()
        with pytest.raises(ConsumerDown):
            await consumer.check()
        await eventually(consumer.check)
        await send(broker, b"1")
        await intake.wait_for({b"1"})
        assert consumer_up()
    assert not consumer_up()


async def test_the_watchdog_is_not_deceived_by_another_consumer_of_the_queue(rabbitmq):
    async with (
        connect(rabbitmq, watch_every=0.5) as broker,
        broker.consume(Intake()) as consumer,
        connect(rabbitmq) as other,
        other.consume(Intake()),
    ):
        await consumer.subscription.cancel()
        with pytest.raises(ConsumerDown):
            await consumer.check()
        await eventually(consumer.check)


async def test_a_silent_broker_fails_check_and_publish_in_bounded_time(rabbitmq, rabbitmq_node: RabbitNode):
    async with connect(rabbitmq) as broker, broker.consume(Intake()) as consumer:
        rabbitmq_node.pause()
        try:
            async with asyncio.timeout(12):
                checked, published = await asyncio.gather(consumer.check(), send(broker), return_exceptions=True)
        finally:
            rabbitmq_node.resume()
        assert isinstance(checked, ConsumerDown)
        assert isinstance(published, PublishFailed)
        await eventually(consumer.check)


async def test_leaving_while_the_broker_is_silent_takes_bounded_time(rabbitmq, rabbitmq_node: RabbitNode):
    try:
        async with asyncio.timeout(25):
            async with connect(rabbitmq) as broker, broker.consume(Intake()):
                rabbitmq_node.pause()
    finally:
        rabbitmq_node.resume()
