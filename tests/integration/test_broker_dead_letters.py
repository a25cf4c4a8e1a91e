"""What RabbitMQ itself gives up is kept with the other dead letters, and can be replayed like them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from adapters.database.records import SqlDeadLetters
from adapters.rabbitmq.dead_letters import collect
from service.errors import Rejected, Retryable
from service.events.delivery import Delivery
from service.workflow.dead_letters import collecting
from service.workflow.ports import ConsumerDown
from tests.integration.processes import run
from tests.integration.taking_in import DEAD, EVENTS, connect
from tests.journey.hospital import Hospital, open_hospital
from tests.nodes.queue_operator import Operator
from tests.scratch import scratch_database

COPY = {"x-ambient-reason": "not_fhir"}
LIMIT = 50


class Kept:
    """Keeps what it is given, but nothing whose body is one of `refused`."""

    def __init__(self, refused: dict[bytes, Exception] | None = None) -> None:
        self.refused = refused or {}
        self.letters: list[tuple[Delivery, str]] = []

    async def __call__(self, delivery: Delivery, rejected: Rejected) -> None:
        if delivery.body in self.refused:
            raise self.refused[delivery.body]
        self.letters.append((delivery, str(rejected)))


@pytest.fixture
async def operator(rabbitmq: str) -> AsyncIterator[Operator]:
    """Of a vhost whose queues are declared."""
    async with connect(rabbitmq), Operator.connect(rabbitmq) as operator:
        yield operator


async def give_up(operator: Operator, body: bytes, **headers: str) -> None:
    """The broker does, after as many failures as it lets pass."""
    before = await operator.depth(DEAD)
    await operator.publish(EVENTS, body, headers=dict(headers), message_id="m1", content_type="a/b")
    for _ in range(LIMIT + 1):
        await operator.give_back(EVENTS)
    await operator.wait_for_depth(DEAD, before + 1)


async def test_what_the_broker_gave_up_is_kept_as_it_came(rabbitmq: str, operator: Operator) -> None:
    await give_up(operator, b"1", a="b")
    kept = Kept()
    assert await collect(rabbitmq, kept) == 1
    as_it_came = Delivery(b"1", "a/b", EVENTS, "m1", {"a": "b"}, "amqp")
    assert kept.letters == [(as_it_came, "delivery_limit: RabbitMQ gave it up: delivery_limit")]
    assert await operator.depth(DEAD) == 0


async def test_our_own_copies_stay_and_are_looked_at_once(rabbitmq: str, operator: Operator) -> None:
    for body, headers in ((b"1", COPY), (b"2", {}), (b"3", COPY), (b"4", {"x-death": "odd"})):
        await operator.publish(DEAD, body, headers=headers)
    kept = Kept()
    assert await collect(rabbitmq, kept) == 2
    assert [(delivery.body, why) for delivery, why in kept.letters] == [
        (b"2", "delivery_limit: RabbitMQ gave it up: cause unknown"),
        (b"4", "delivery_limit: RabbitMQ gave it up: cause unknown"),
    ]
    await operator.wait_for_depth(DEAD, 2)
    assert await collect(rabbitmq, kept) == 0
    await operator.wait_for_depth(DEAD, 2)


async def test_what_cannot_be_kept_stays_and_hinders_no_other(rabbitmq: str, operator: Operator) -> None:
    for body in (b"1", b"2", b"3"):
        await operator.publish(DEAD, body)
    assert await collect(rabbitmq, Kept({b"2": ValueError("a bug")})) == 2
    await operator.wait_for_depth(DEAD, 1)
    assert (await operator.take(DEAD)).body == b"2"


async def test_without_a_database_everything_stays(rabbitmq: str, operator: Operator) -> None:
    for body in (b"1", b"2"):
        await operator.publish(DEAD, body)
    with pytest.raises(Retryable):
        await collect(rabbitmq, Kept({b"1": Retryable("database_unavailable")}))
    await operator.wait_for_depth(DEAD, 2)


async def test_a_queue_that_cannot_be_looked_at_is_named(rabbitmq: str, operator: Operator) -> None:
    await operator.delete_queue(DEAD)
    with pytest.raises(ConsumerDown, match=r"ambient\.events\.dead cannot be looked at: ChannelNotFoundEntity"):
        await collect(rabbitmq, Kept())


async def test_a_process_that_stops_does_not_finish_its_look(rabbitmq: str, operator: Operator) -> None:
    await operator.publish(DEAD, b"1")
    begun = asyncio.Event()

    async def never_kept(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        async with collecting(lambda: collect(rabbitmq, never_kept)):
            await begun.wait()
    await operator.wait_for_depth(DEAD, 1)


async def test_a_redelivered_dead_letter_is_kept_once(rabbitmq: str, operator: Operator, database: Database) -> None:
    inbox, lost = SqlInbox(database), True

    async def keep(delivery: Delivery, rejected: Rejected) -> None:
        await inbox.store_dead(delivery, rejected.reason, rejected.detail)
        if lost:
            raise RuntimeError("the process dies before its acknowledgement")

    await give_up(operator, b"1", a="b")
    assert await collect(rabbitmq, keep) == 0
    await operator.wait_for_depth(DEAD, 1)
    lost = False
    assert await collect(rabbitmq, keep) == 1
    assert len(await SqlDeadLetters(database).list_letters("open", 10, None)) == 1


async def prepared(hospital: Hospital) -> bytes:
    """A visit with its recording in the EHR; the body of the event that tells of it."""
    await hospital.admit()
    return json.dumps(await hospital.record()).encode()


async def command(words: str, **settings: object) -> str:
    """What a command prints that goes well, while this process goes on."""
    done = await asyncio.to_thread(run, words, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_worker_collects_at_its_start_and_a_replay_over_http_files_the_note(
    tmp_path: Path, rabbitmq: str, operator: Operator
) -> None:
    async with open_hospital(tmp_path) as hospital:
        event = await prepared(hospital)
    await give_up(operator, event)
    async with open_hospital(tmp_path, broker={"url": rabbitmq}) as hospital:
        async with asyncio.timeout(10), hospital.http() as http:
            while not (listed := (await http.get("/dead-letters")).json()["deadLetters"]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            (letter,) = listed
            assert letter["reason"] == "delivery_limit"
            replayed = await http.post(f"/dead-letters/{letter['id']}/replay")
        assert replayed.json()["verdict"] == "replayed"
        await hospital.until("done")
        assert len(await hospital.notes()) == 1


async def test_collecting_and_replaying_by_command_files_the_note(
    tmp_path: Path, rabbitmq: str, operator: Operator
) -> None:
    settings = {"DATABASE__URL": scratch_database(tmp_path), "BROKER__URL": rabbitmq, "LOG__LEVEL": "error"}
    async with open_hospital(tmp_path) as hospital:
        event = await prepared(hospital)
    await give_up(operator, event)
    assert await command("dead-letters collect", **settings) == "1 collected\n"
    (letter,) = json.loads(await command("dead-letters list --json", **settings))
    assert await command(f"dead-letters replay {letter['id']}", **settings) == "replayed Media/m1\n"
    async with open_hospital(tmp_path, broker={"url": rabbitmq}) as hospital:
        await hospital.until("done")
        assert len(await hospital.notes()) == 1
