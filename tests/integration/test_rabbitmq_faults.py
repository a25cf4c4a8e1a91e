"""What the adapter does when the broker, its connections or its queues go away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aio_pika.abc import AbstractRobustConnection
from aio_pika.exceptions import ChannelInvalidStateError
from yarl import URL

from adapters.rabbitmq.connection import RotatingConnection
from adapters.rabbitmq.consumer import RabbitConsumer
from service.settings import Broker
from service.telemetry import CONSUMER_UP, PUBLISHER_UP
from service.workflow.ports import ConsumerDown, PublishFailed
from tests.integration.taking_in import EVENTS, Intake, connect, eventually, send
from tests.nodes.forwarder import Forwarder
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
        await consumer.alive()
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


async def test_a_connection_that_does_not_come_back_is_replaced(rabbitmq):
    intake = Intake()
    async with connect(rabbitmq, watch_every=0.3) as broker, broker.consume(intake) as consumer:
        await consumer.subscription.connection.close()
        with pytest.raises(ConsumerDown):
            await consumer.check()
        await eventually(consumer.check)
        await consumer.alive()
        await send(broker, b"1")
        await intake.wait_for({b"1"})


def publisher_up() -> bool:
    return PUBLISHER_UP.collect()[0].samples[0].value == 1


async def told(up: bool) -> None:
    async with asyncio.timeout(15):
        while publisher_up() != up:  # noqa: ASYNC110 - the metric is what is looked at
            await asyncio.sleep(0.02)


async def test_a_publishing_connection_that_does_not_come_back_is_replaced(rabbitmq):
    async with connect(rabbitmq, watch_every=0.3) as broker:
        await told(up=True)
        await broker._publisher.connection.close()
        await told(up=False)
        await eventually(lambda: send(broker))
        await told(up=True)
    assert not publisher_up()


async def test_a_broker_that_is_away_is_waited_for(rabbitmq):
    async with (
        Forwarder.to(URL(rabbitmq).port) as way,
        connect(str(URL(rabbitmq).with_port(way.port)), watch_every=0.1) as broker,
    ):
        way.close()
        await told(up=False)
        await asyncio.sleep(1)
        assert not publisher_up()
        await way.open()
        await eventually(lambda: send(broker))
        await told(up=True)


class Broken(RotatingConnection):
    """A client that connects, and can do nothing more."""

    def channel(self, *_: Any, **__: Any) -> Any:
        raise ChannelInvalidStateError


async def test_only_a_consumer_that_no_new_connection_brings_back_is_not_alive(rabbitmq):
    broken = False

    async def open_one() -> AbstractRobustConnection:
        connection = (Broken if broken else RotatingConnection)([URL(rabbitmq)], "test")
        await connection.connect()
        return connection

    async with connect(rabbitmq) as broker, Operator.connect(rabbitmq) as operator:
        consumer = RabbitConsumer(open_one, broker._publisher, Intake(), Broker(url=rabbitmq), watch_every=0.2)
        await consumer.start()
        broken = True
        await consumer.subscription.connection.close()
        await consumer.alive()
        await eventually(lambda: not_alive(consumer))
        await operator.delete_queue(EVENTS)  # now a restart would not help either
        await eventually(consumer.alive)
        broken = False
        await eventually(consumer.check)
        await consumer.stop()


async def not_alive(consumer: RabbitConsumer) -> None:
    try:
        await consumer.alive()
    except ConsumerDown:
        return
    raise ConsumerDown("it is alive, and should not be")


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
