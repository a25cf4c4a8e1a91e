"""The embedded broker keeps RabbitMQ's promises inside one process."""

from __future__ import annotations

import asyncio

import pytest

from adapters.in_memory.broker import InMemoryBroker
from adapters.rabbitmq import topology
from service.events.delivery import Delivery, Taken
from service.settings import Broker
from service.workflow.ports import ConsumerDown, PublishFailed

STORED = Taken("stored")


class Intake:
    """Takes in what comes; each word of `fails` is an exception raised first."""

    def __init__(self, taken: Taken = STORED, failures: int = 0, seconds: float = 0) -> None:
        self.taken, self.failures, self.seconds = taken, failures, seconds
        self.seen: list[Delivery] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self, delivery: Delivery) -> Taken:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is away")
        self.seen.append(delivery)
        return self.taken


async def send(broker: InMemoryBroker, routing_key: str = "fhir.Media.create") -> None:
    await broker.publish(
        b"{}", routing_key=routing_key, content_type="application/json", message_id="m1", headers={"a": "b"}
    )


def connect(prefetch: int = 16):
    return InMemoryBroker.connect(Broker(prefetch=prefetch), attempts=3, pause=0.01)


async def test_publishing_returns_once_the_delivery_is_taken_in():
    intake = Intake(seconds=0.02)
    async with connect() as broker, broker.consume(intake) as consumer:
        await send(broker)
        assert intake.seen == [Delivery(b"{}", "application/json", "fhir.Media.create", "m1", {"a": "b"}, "memory")]
        await consumer.check()


@pytest.mark.parametrize("ending", ["ignored", "dead"])
async def test_every_ending_is_an_end(ending):
    async with connect() as broker, broker.consume(Intake(Taken(ending, "because"))):
        await send(broker)


async def test_a_failing_intake_is_tried_again():
    intake = Intake(failures=2)
    async with connect() as broker, broker.consume(intake):
        await send(broker)
    assert len(intake.seen) == 1


async def test_an_intake_that_keeps_failing_fails_the_publish_instead_of_dropping_the_event():
    async with connect() as broker, broker.consume(Intake(failures=9)):
        with pytest.raises(PublishFailed):
            await send(broker)


async def test_without_a_consumer_publishing_fails():
    async with connect() as broker:
        with pytest.raises(PublishFailed):
            await send(broker)
        async with broker.consume(Intake()) as consumer:
            pass
        with pytest.raises(PublishFailed):
            await send(broker)
        with pytest.raises(ConsumerDown):
            await consumer.check()


@pytest.mark.parametrize("key", ["fhir.Patient.create", "fhir", "fhir.MediaX.create", "other.Media.create"])
async def test_a_routing_key_that_no_binding_matches_is_refused(key):
    async with connect() as broker, broker.consume(Intake()):
        with pytest.raises(PublishFailed):
            await send(broker, key)


@pytest.mark.parametrize("key", ["fhir.Media", "fhir.Media.create", "fhir.Encounter.update.x"])
async def test_a_routing_key_that_a_binding_matches_is_taken(key):
    async with connect() as broker, broker.consume(Intake()):
        await send(broker, key)


def test_its_bindings_are_those_of_the_real_queue():
    assert tuple(key for _, key in topology.EVENTS.bindings) == InMemoryBroker.BOUND_TO


async def test_prefetch_bounds_what_is_in_hand():
    intake = Intake(seconds=0.01)
    async with connect(prefetch=2) as broker, broker.consume(intake):
        await asyncio.gather(*(send(broker) for _ in range(8)))
    assert (len(intake.seen), intake.most_at_once) == (8, 2)


async def test_a_publisher_that_goes_away_does_not_take_its_delivery_with_it():
    intake = Intake(seconds=0.05)
    async with connect() as broker, broker.consume(intake):
        publishing = asyncio.create_task(send(broker))
        await asyncio.sleep(0.01)
        publishing.cancel()
    assert len(intake.seen) == 1


async def test_stopping_waits_for_what_is_in_hand_and_takes_nothing_more():
    intake = Intake(seconds=0.05)
    async with connect() as broker, broker.consume(intake) as consumer:
        publishing = asyncio.create_task(send(broker))
        await asyncio.sleep(0.01)
        await consumer.stop()
        assert len(intake.seen) == 1
        await publishing
        with pytest.raises(PublishFailed):
            await send(broker)
