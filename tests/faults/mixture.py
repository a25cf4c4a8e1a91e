"""Good visits among thousands of deliveries that nobody meant to send, through a real broker into a house; and its books."""

from __future__ import annotations

import asyncio
import hashlib
import json
import resource
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import aio_pika
from pamqp import decode, encode
from prometheus_client import REGISTRY
from sqlalchemy import func, select

from adapters.database.database import Database
from adapters.database.workflow_tables import dead_letters, deliveries, events, visits
from adapters.rabbitmq.delivery import REASON_HEADER, delivery_of
from service.errors import Ignored, Rejected
from service.events.event import Event
from service.events.reading import read_events
from service.settings import ehr_base
from tests.faults.mutations import SHAPES, STRANGERS, Publication, mutations
from tests.journey.hospital import Hospital, open_hospital

OUTSTANDING = 200
ENDINGS = tuple(f"ambient_events_{ending}_total" for ending in ("stored", "duplicate", "ignored", "rejected"))
MOST_MEMORY = 400 * 1024**2
"""How much the process may grow, the messages themselves included."""


@dataclass
class Books:
    """What became of the deliveries, by the pure reading of them: what the house must come to as well."""

    ignored: Counter[str] = field(default_factory=Counter)
    dead: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Copies of each (SHA-256 of the body, reason)."""
    events: list[Event] = field(default_factory=list)
    with_events: int = 0

    @property
    def deliveries(self) -> int:
        return self.with_events + self.ignored.total() + self.dead.total()

    @property
    def distinct_events(self) -> int:
        return len({(event.source, event.id, event.fingerprint) for event in self.events})

    def counters(self) -> Counter[str]:
        """What the house's own counters must come to."""
        return Counter({
            "ambient_events_stored_total": self.distinct_events,
            "ambient_events_duplicate_total": len(self.events) - self.distinct_events,
            **{f"ambient_events_ignored_total{reason}": count for reason, count in self.ignored.items()},
            **Counter(f"ambient_events_rejected_total{reason}" for _, reason in self.dead.elements()),
        })  # fmt: skip

    def enter(self, sent: Publication, base: str, most: int) -> None:
        ending = self._ending(sent, base, most)
        assert sent.expected in (None, ending), f"{sent.mutation} ended as {ending}, not {sent.expected}"

    def _ending(self, sent: Publication, base: str, most: int) -> str:
        try:
            if len(sent.body) > most:
                raise Rejected("too_large")
            read = read_events(delivery_of(as_received(sent)), base)
        except Ignored as ignored:
            self.ignored[ignored.reason] += 1
            return "ignored"
        except Rejected as rejected:
            self.dead[hashlib.sha256(sent.body).hexdigest(), rejected.reason] += 1
            return rejected.reason
        self.with_events += 1
        self.events += read
        return "stored"


def as_received(sent: Publication) -> Any:
    """What the wire makes of the headers and the routing key; nothing else of the envelope is looked at."""
    _, headers = decode.METHODS["table"](encode.field_table(sent.properties.get("headers", {})))
    _, routing_key = decode.METHODS["shortstr"](encode.short_string(sent.routing_key))
    return SimpleNamespace(body=sent.body, content_type=None, message_id=None, headers=headers, routing_key=routing_key)


async def publish(url: str, sent: list[Publication]) -> None:
    """To the exchange, each confirmed, hundreds at once."""
    turns = asyncio.Semaphore(OUTSTANDING)
    async with (
        await aio_pika.connect(url) as connection,
        connection.channel(on_return_raises=False) as channel,
        asyncio.TaskGroup() as publishing,
    ):
        exchange = await channel.get_exchange("fhir.events", ensure=False)

        async def one(publication: Publication) -> None:
            try:
                message = aio_pika.Message(publication.body, **publication.properties)
                await exchange.publish(message, publication.routing_key)
            finally:
                turns.release()

        for publication in sent:
            await turns.acquire()
            publishing.create_task(one(publication))


async def good_visits(hospital: Hospital, count: int, random: Random, base: str) -> list[Publication]:
    """In the EHR; their events in any shape, some of them twice."""
    told = []
    for number in range(count):
        encounter = await hospital.admit(f"good-{number}", patient=f"patient-{number}")
        media = await hospital.record(f"good-{number}", encounter=f"good-{number}", patient=f"patient-{number}")
        for resource_ in (encounter, media):
            told += [random.choice(SHAPES)(resource_, random, base) for _ in range(random.choice((1, 1, 2, 3)))]
    return told


async def strangers_in_the_ehr(hospital: Hospital, count: int) -> None:
    for number in range(count):
        await hospital.admit(f"xe{number}", patient=f"xp{number}")
        await hospital.record(f"xm{number}", encounter=f"xe{number}", patient=f"xp{number}")


async def mix(folder: Path, parts: dict[str, Any], *, bad: int, good: int, seed: int, seconds: float) -> dict[str, Any]:
    """Publishes all of it, waits until nothing is left to do, and compares the books. Returns the figures."""
    url, random, books = parts["broker"]["url"], Random(seed), Books()
    waits = {"incomplete_wait": 0.5, "max_wait": 0.5}
    async with open_hospital(folder, notes=waits, **parts) as hospital:
        settings = hospital.house.settings
        base, most = ehr_base(settings), int(settings.broker.max_message)
        sent = await good_visits(hospital, good, random, base)
        await strangers_in_the_ehr(hospital, STRANGERS // 4)
        sent += list(mutations(seed, bad, base, most))
        random.shuffle(sent)
        for publication in sent:
            books.enter(publication, base, most)
        before, memory = counted(), resident()
        try:
            async with asyncio.timeout(seconds):
                await publish(url, sent)
                await settled(books.counters(), before)
                await nothing_due(hospital)
        except TimeoutError:
            states = await hospital.house.visits.count_by_state()
            raise AssertionError(f"not settled: {counted() - before}, {states}") from None
        grown = resident() - memory
        assert grown < MOST_MEMORY, f"grown by {grown / 1024**2:.0f} MiB"
        for number in range(good):
            await assert_one_note(hospital, f"good-{number}", f"patient-{number}")
    await assert_books(settings, books, counted() - before)
    await assert_copies(url, books)
    return {"published": len(sent), "events": len(books.events), "stored": books.distinct_events, "ignored": books.ignored.total(),
            "dead": books.dead.total(), "distinct_dead": len(books.dead), "grown_mib": grown // 1024**2}  # fmt: skip


def counted() -> Counter[str]:
    """The house's own counters, but for its canaries and what tells no ending."""
    return Counter({
        sample.name + "".join(sample.labels.values()): int(sample.value)
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name.startswith(ENDINGS) and sample.labels != {"reason": "canary"}
    })  # fmt: skip


async def settled(expected: Counter[str], before: Counter[str]) -> None:
    """Until the house has counted as much."""
    while (house := counted() - before) != expected:
        assert house <= expected, house - expected
        await asyncio.sleep(0.1)


async def nothing_due(hospital: Hospital) -> None:
    """What still waits then waits for something that will not come, and is not due by itself for a while."""
    quiet = 0
    while quiet < 3:
        await asyncio.sleep(0.1)
        states = await hospital.house.visits.count_by_state()
        busy = states.get("working", 0) + states.get("waiting", 0)
        quiet = 0 if busy else quiet + 1


async def assert_one_note(hospital: Hospital, encounter: str, patient: str) -> None:
    visit = await hospital.visit(f"Encounter/{encounter}")
    assert (visit["state"], visit["reason"]) == ("done", None), visit
    (note,) = await hospital.notes(encounter)
    assert (note["status"], note["subject"]) == ("current", {"reference": f"Patient/{patient}"})


async def assert_books(settings: Any, books: Books, house: Counter[str]) -> None:
    """The counters, and what the database holds."""
    assert house == books.counters()
    async with Database.connect(settings.database) as database, database.reading() as connection:
        letters = (await connection.execute(select(dead_letters.c.sha256, dead_letters.c.reason, dead_letters.c.body))).all()  # fmt: skip
        assert {(sha256, reason) for sha256, reason, _ in letters} == set(books.dead)
        assert len(letters) <= books.dead.total()
        assert all(hashlib.sha256(body).hexdigest() == sha256 for sha256, _, body in letters)
        assert (await connection.execute(select(func.count()).select_from(events))).scalar() == books.distinct_events
        kept = (await connection.execute(select(func.count()).select_from(deliveries))).scalar()
        assert 0 < kept <= books.with_events
        ended = {tuple(row) for row in await connection.execute(select(visits.c.state, visits.c.reason, visits.c.detail))}  # fmt: skip
    assert not [one for one in ended if one[1] == "unexpected_error" or one[0] not in ("done", "parked", "cancelled")]


async def assert_copies(url: str, books: Books) -> None:
    """Every dead letter has its copy in the queue, with our reason: none came there for its delivery limit."""
    copies: Counter[tuple[str, str]] = Counter()
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        for name, expected in (("ambient.events", 0), ("ambient.events.dead", books.dead.total())):
            queue = await channel.declare_queue(name, passive=True)
            assert queue.declaration_result.message_count == expected, name
        async with queue.iterator(no_ack=True, timeout=30) as waiting:
            async for message in waiting:
                copies[hashlib.sha256(message.body).hexdigest(), str(message.headers.get(REASON_HEADER))] += 1
                if copies.total() == expected:
                    break
    assert copies == books.dead


def resident() -> int:
    """The largest that this process has been, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def as_line(figures: dict[str, Any]) -> str:
    return json.dumps({"fuzz": figures})
