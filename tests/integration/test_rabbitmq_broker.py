"""What the broker's adapter promises, against a private RabbitMQ node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.errors import BadConfiguration
from service.events.delivery import Delivery, Taken
from service.workflow.ports import ConsumerDown, PublishFailed
from tests.integration.taking_in import DEAD, EVENTS, MEDIA, Intake, connect, send
from tests.nodes.queue_operator import Operator
from tests.nodes.rabbitmq import RabbitNode


@pytest.fixture
async def operator(rabbitmq: str) -> AsyncIterator[Operator]:
    async with Operator.connect(rabbitmq) as operator:
        yield operator


async def test_a_published_event_arrives_and_is_acknowledged(rabbitmq, operator):
    intake = Intake()
    async with connect(rabbitmq) as broker, broker.consume(intake) as consumer:
        await send(broker, b"1")
        await send(broker, b"2", "fhir.Encounter.update")
        await intake.wait_for({b"1", b"2"})
        await consumer.check()
    first = next(delivery for delivery in intake.seen if delivery.body == b"1")
    assert first == Delivery(b"1", "application/fhir+json", MEDIA, "1", {"a": "b"}, "amqp")
    assert (await operator.depth(EVENTS), await operator.depth(DEAD)) == (0, 0)


async def test_headers_of_any_type_reach_the_intake_as_text(rabbitmq, operator):
    intake = Intake(Taken("ignored", "heartbeat"))
    async with connect(rabbitmq) as broker, broker.consume(intake):
        await operator.publish(EVENTS, b"1", headers={"n": 7, "b": True, "raw": bytearray(b"\xff\x00"), "x": 0.5})
        await intake.wait_for({b"1"})
    assert intake.seen[0].headers["n"] == "7"
    assert intake.seen[0].headers["b"] == "true"
    assert isinstance(intake.seen[0].headers["raw"], str)
    assert intake.seen[0].content_type is None
    assert await operator.depth(EVENTS) == 0


async def test_an_event_that_no_queue_takes_fails_the_publish(rabbitmq):
    async with connect(rabbitmq) as broker:
        with pytest.raises(PublishFailed):
            await send(broker, routing_key="fhir.Patient.create")
        same_id = [send(broker, b"same", key) for key in ("fhir.Patient.create", MEDIA, "fhir.Patient.create", MEDIA)]
        ended = await asyncio.gather(*same_id, return_exceptions=True)
        assert [isinstance(end, PublishFailed) for end in ended] == [True, False, True, False]


async def test_publishing_without_the_exchange_fails_and_works_again_once_it_is_back(rabbitmq, operator):
    async with connect(rabbitmq) as broker:
        await operator.delete_exchange("fhir.events")
        with pytest.raises(PublishFailed):
            await send(broker)
        async with connect(rabbitmq):
            await send(broker)


async def test_a_delivery_that_could_not_be_taken_in_comes_again(rabbitmq, operator):
    intake = Intake(failures=2)
    async with connect(rabbitmq) as broker, broker.consume(intake):
        await send(broker, b"1")
        await intake.wait_for({b"1"})
    assert intake.begun.qsize() == 3
    assert await operator.depth(EVENTS) == 0


async def test_what_is_taken_in_is_what_was_sent_whoever_wrote_on_it_since(rabbitmq, operator):
    intake = Intake(failures=1)
    since = {"x-ambient-reason": "not_fhir", "x-death": "odd", "x-first-death-queue": "q", "x-last-death-queue": "q"}
    await prepare(rabbitmq)
    await operator.publish(EVENTS, b"1", headers={"a": "b", **since})
    await operator.give_back(EVENTS)
    async with connect(rabbitmq) as broker, broker.consume(intake):
        await intake.wait_for({b"1"})
    assert [dict(delivery.headers) for delivery in intake.seen] == [{"a": "b"}]


async def prepare(rabbitmq: str) -> None:
    """Declares everything."""
    async with connect(rabbitmq):
        pass


async def test_a_dead_letter_is_copied_whole_with_its_reason(rabbitmq, operator):
    intake = Intake(Taken("dead", "not_fhir"))
    async with connect(rabbitmq) as broker, broker.consume(intake):
        await operator.publish(
            EVENTS,
            b"\x00whole",
            headers={"a": 1, "raw": bytearray(b"\xff")},
            message_id="m1",
            content_type="x/y",
            correlation_id="c",
            user_id="guest",
        )
        await operator.wait_for_depth(DEAD, 1)
    letter = await operator.take(DEAD)
    assert (letter.body, letter.message_id, letter.content_type) == (b"\x00whole", "m1", "x/y")
    assert letter.headers["x-ambient-reason"] == "not_fhir"
    assert (letter.headers["a"], letter.headers["raw"]) == (1, b"\xff")
    assert (letter.correlation_id, letter.delivery_mode) == ("c", 2)
    assert await operator.depth(EVENTS) == 0


async def test_a_dead_letter_whose_copy_is_refused_is_not_acknowledged(rabbitmq, operator):
    intake = Intake(Taken("dead", "not_fhir"))
    async with connect(rabbitmq) as broker:
        async with broker.consume(intake):
            await operator.delete_queue(DEAD)
            await send(broker, b"1")
            await intake.wait_for({b"1"})
            await asyncio.sleep(0.5)
        await operator.wait_for_depth(EVENTS, 1)


async def test_stopping_waits_for_the_delivery_in_hand(rabbitmq, operator):
    intake = Intake()
    intake.gate.clear()
    async with connect(rabbitmq) as broker, broker.consume(intake) as consumer:
        await send(broker, b"1")
        await intake.begun.get()
        stopping = asyncio.create_task(consumer.stop())
        await asyncio.sleep(0.3)
        assert not stopping.done()
        intake.gate.set()
        await stopping
        assert (len(intake.seen), intake.cancelled) == (1, 0)
        with pytest.raises(ConsumerDown):
            await consumer.check()
        await send(broker, b"2")
    assert await operator.depth(EVENTS) == 1


async def test_prefetch_bounds_the_deliveries_in_hand(rabbitmq, operator):
    intake = Intake()
    intake.gate.clear()
    async with connect(rabbitmq, prefetch=3) as broker, broker.consume(intake):
        await asyncio.gather(*(send(broker, str(n).encode()) for n in range(10)))
        await operator.wait_for_depth(EVENTS, 7)
        await asyncio.sleep(0.2)
        assert intake.begun.qsize() == 3
        intake.gate.set()
        await intake.wait_for({str(n).encode() for n in range(10)})


async def test_the_first_url_that_answers_is_used(rabbitmq):
    async with connect(f"amqp://guest:guest@127.0.0.1:1/,{rabbitmq}") as broker:
        await send(broker)


@pytest.mark.parametrize("url", ["amqp://guest:guest@127.0.0.1:1/", "http://127.0.0.1/", "amqp://"])
async def test_a_url_that_cannot_work_is_named(url):
    with pytest.raises(BadConfiguration, match="AMBIENT_BROKER__URL"):
        async with connect(url):
            pass


async def test_a_wrong_password_is_a_matter_of_configuration_and_not_shown(rabbitmq_node: RabbitNode):
    with pytest.raises(BadConfiguration, match="user, password") as refused:
        async with connect(f"amqp://guest:sesame@127.0.0.1:{rabbitmq_node.port}/"):
            pass
    assert "sesame" not in str(refused.value)


async def test_without_declaring_it_says_what_is_missing(rabbitmq, operator):
    with pytest.raises(BadConfiguration, match=r"exchange fhir\.events.*queue ambient\.events"):
        async with connect(rabbitmq, declare=False):
            pass
    async with connect(rabbitmq):
        pass
    await operator.delete_queue(DEAD)
    with pytest.raises(BadConfiguration, match=r"lacks queue ambient\.events\.dead:"):
        async with connect(rabbitmq, declare=False):
            pass


async def test_without_declaring_it_works_with_what_an_administrator_made(rabbitmq):
    intake = Intake()
    async with connect(rabbitmq):
        pass
    async with connect(rabbitmq, declare=False) as broker, broker.consume(intake) as consumer:
        await send(broker, b"1")
        await intake.wait_for({b"1"})
        await consumer.check()


async def test_a_queue_declared_differently_is_reported_with_what_to_do(rabbitmq, operator):
    await operator.declare_queue(EVENTS, **{"x-queue-type": "quorum"})
    with pytest.raises(BadConfiguration, match="delete the queue"):
        async with connect(rabbitmq):
            pass


async def test_a_delivery_that_always_crashes_ends_whole_among_the_dead_although_they_had_no_home(
    rabbitmq, rabbitmq_node: RabbitNode, operator
):
    """The delivery limit is 50; a policy may lower it. At-least-once: without a home the dead letter waits for one, and the
    broker looks for it every 3 minutes unless told otherwise."""
    intake = Intake(failures=3)
    await asyncio.to_thread(
        rabbitmq_node.ctl,
        "eval",
        "application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, 1000), "
        f'rabbit_policy:parse_set(<<"{rabbitmq.rpartition("/")[2]}">>, <<"lowered">>, <<"^ambient.events$">>, '
        '<<"{\\"delivery-limit\\": 2}">>, <<"0">>, <<"queues">>, <<"tests">>).',
    )
    async with connect(rabbitmq), connect(rabbitmq, declare=False) as broker:
        await operator.unbind(DEAD, "ambient.dlx", "#")
        await operator.publish(
            EVENTS, b"\x00whole", message_id="m1", content_type="x/y", headers={"a": 1}, delivery_mode=2
        )
        for _ in range(3):
            async with broker.consume(intake):
                await intake.begun.get()
        await asyncio.sleep(0.5)
        assert (await operator.depth(EVENTS), await operator.depth(DEAD)) == (0, 0)
        async with connect(rabbitmq):
            await operator.wait_for_depth(DEAD, 1)
        async with broker.consume(intake):
            await send(broker, b"fine")
            await intake.wait_for({b"fine"})
    letter = await operator.take(DEAD)
    assert (letter.body, letter.message_id, letter.content_type) == (b"\x00whole", "m1", "x/y")
    assert letter.headers["a"] == 1
    assert "x-ambient-reason" not in letter.headers
