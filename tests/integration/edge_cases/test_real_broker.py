"""A broker that restarts, consumers that lose what they hold, and two replicas over one visit."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from adapters.rabbitmq.broker import RabbitBroker
from service.settings import Broker
from service.workflow.ports import PublishFailed, PublishRefused
from tests.integration.taking_in import EVENTS, Intake, connect, eventually, send
from tests.journey.hospital import Hospital, Json, open_hospital
from tests.nodes.queue_operator import Operator
from tests.nodes.rabbitmq import RabbitNode

SETTLED_AFTER = 2.2  # a quorum queue younger than about a second does not survive kill -9
PREFETCH = 16


@pytest.fixture
def parts(rabbitmq: str, postgres_url: str) -> dict[str, Any]:
    return {"broker": {"url": rabbitmq}, "database": {"url": postgres_url}}


async def told(hospital: Hospital, resource: Json) -> None:
    """Published until the broker confirms it, as a publisher does."""

    async def once() -> None:
        kind = resource["resourceType"]
        await hospital.house.broker.publish(
            json.dumps(resource).encode(), routing_key=f"fhir.{kind}.update", content_type="application/fhir+json",
            message_id="", headers={},
        )  # fmt: skip

    await eventually(once, 30)


async def done(hospital: Hospital, encounter: str) -> list[Json]:
    """The notes of the visit, once it has its recording and is done; its events may be under way still."""
    for _ in range(300):
        visit = await hospital.house.visits.show_visit(f"Encounter/{encounter}")
        if visit and (visit["state"], visit["reason"]) == ("done", None):
            return await hospital.notes(encounter)
        await asyncio.sleep(0.1)
    raise AssertionError(visit)


async def test_case_47_a_broker_killed_in_the_middle_loses_nothing_and_doubles_nothing(
    tmp_path: Path, parts: dict[str, Any], rabbitmq_node: RabbitNode
) -> None:
    async with open_hospital(tmp_path, **parts) as hospital:
        await asyncio.sleep(SETTLED_AFTER)
        for n in range(4):
            await told(hospital, await hospital.admit(f"e{n}"))
            await told(hospital, await hospital.record(f"m{n}", encounter=f"e{n}"))
            if n == 1:
                await asyncio.to_thread(rabbitmq_node.kill)
                with pytest.raises(PublishFailed):
                    await hospital.house.broker.publish(
                        b"{}", routing_key="fhir.Media.update", content_type="x", message_id="", headers={}
                    )
                await asyncio.to_thread(rabbitmq_node.start)
        for n in range(4):
            assert len(await done(hospital, f"e{n}")) == 1


async def test_case_47_deliveries_given_back_again_and_again_are_all_taken_in(
    rabbitmq: str, rabbitmq_node: RabbitNode
) -> None:
    """Each lost connection gives back all that is prefetched; far below the delivery limit nothing is dropped."""
    intake, bodies = Intake(), {str(n).encode() for n in range(2 * PREFETCH)}
    intake.gate.clear()
    async with connect(rabbitmq, prefetch=PREFETCH) as broker, broker.consume(intake) as consumer:
        for body in bodies:
            await send(broker, body)
        for _ in range(3):
            await asyncio.wait_for(intake.begun.get(), 15)
            await asyncio.to_thread(rabbitmq_node.close_connections)
            await eventually(consumer.check)
        intake.gate.set()
        async with asyncio.timeout(20):
            while {delivery.body for delivery in intake.seen} != bodies:
                intake.news.clear()
                await intake.news.wait()
    async with Operator.connect(rabbitmq) as operator:
        await operator.wait_for_depth(EVENTS, 0)
        assert await operator.depth("ambient.events.dead") == 0


async def test_case_47_a_visit_that_takes_long_holds_no_delivery(
    tmp_path: Path, parts: dict[str, Any], rabbitmq: str
) -> None:
    """RabbitMQ closes the channel of whoever holds a delivery for half an hour: ours is acknowledged once it is stored."""
    async with open_hospital(tmp_path, **parts) as hospital:
        await hospital.tell(await hospital.admit(status="in-progress"), await hospital.record())
        await hospital.until("waiting", reason="encounter_not_finished")
    async with Operator.connect(rabbitmq) as operator:  # what a consumer held when it left is ready again
        assert await operator.depth(EVENTS) == 0
    async with open_hospital(tmp_path, **parts) as hospital:
        await hospital.tell(await hospital.put({**await hospital.house.ehr.read("Encounter/e1"), "status": "finished"}))
        assert len(await done(hospital, "e1")) == 1


async def in_the_note_that_stands(hospital: Hospital) -> list[str]:
    """The recordings of the visit's one note; none while one takes the place of another."""
    standing = [note for note in await done(hospital, "e1") if note["status"] == "current"]
    return [one["reference"] for one in standing[0]["context"]["related"]] if len(standing) == 1 else []


async def test_case_48_two_replicas_that_take_one_encounter_s_media_at_once_file_one_note(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    async with open_hospital(tmp_path, **parts) as hospital, open_hospital(tmp_path, **parts) as other:
        encounter = await hospital.admit()
        media = [await hospital.record(f"m{n}") for n in range(4)]
        await asyncio.gather(*(told(hospital if n % 2 else other, one) for n, one in enumerate([*media, encounter])))
        async with asyncio.timeout(60):
            while len(heard := await in_the_note_that_stands(hospital)) != 4:
                assert len(set(heard)) == len(heard)
                await asyncio.sleep(0.1)
        steps = (await hospital.visit())["steps"]
        assert len([step for step in steps if step["name"] == "interaction"]) == 1
        assert len([step for step in steps if step["name"].startswith("recording:")]) == 4


async def test_audio_documents_reach_the_queue_only_where_they_are_asked_for(rabbitmq: str) -> None:
    intake, key = Intake(), "fhir.DocumentReference.create"
    async with connect(rabbitmq) as broker, broker.consume(intake):
        with pytest.raises(PublishRefused):
            await send(broker, b"1", key)
    async with (
        RabbitBroker.connect(Broker(url=rabbitmq), audio_documents=True) as broker,
        broker.consume(intake) as one,
    ):
        await send(broker, b"2", key)
        async with Operator.connect(rabbitmq) as operator:
            await operator.delete_queue(EVENTS)
        await eventually(one.check)
        await send(broker, b"3", key)
        await intake.wait_for({b"2", b"3"})
