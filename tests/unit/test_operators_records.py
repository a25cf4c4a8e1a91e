"""What operators read and close: pages without gaps, lists without bodies, and visits that nobody works on."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from adapters.database.records import SqlDeadLetters, SqlVisitRecords
from adapters.database.schema import clock
from adapters.database.visits import SqlVisits
from adapters.database.workflow_tables import dead_letters, visits
from service.errors import LostLease, NotNow
from service.events.delivery import Delivery
from service.events.reading import read_events
from service.workflow.visit import Visit

MOMENT = datetime(2026, 1, 5, 9, 31, 0, 123456, tzinfo=UTC)
MB = 1024**2


async def tell(database: Database, number: int = 1, status: str = "in-progress") -> None:
    """An event about a recording of the Encounter `e<number>`."""
    media = {"resourceType": "Media", "id": f"m{number}", "status": status}
    delivery = Delivery(json.dumps({**media, "encounter": {"reference": f"Encounter/e{number}"}}).encode())
    await SqlInbox(database).store(delivery, read_events(delivery, "https://ehr.test"), "sandbox")


async def set_visits(database: Database, **values: Any) -> None:
    async with database.transaction() as connection:
        await connection.execute(update(visits).values(**values))


async def test_pages_of_visits_of_one_moment_hold_each_of_them_once(database: Database) -> None:
    records = SqlVisitRecords(database)
    for number in range(5):
        await tell(database, number)
    await set_visits(database, updated_at=MOMENT)
    seen, last = [], (None, None)
    for _ in range(3):
        page = await records.list_visits("waiting", 2, *last)
        seen += [row["key"] for row in page]
        last = datetime.fromisoformat(page[-1]["updatedAt"]), page[-1]["id"]
    assert sorted(seen) == [f"Encounter/e{number}" for number in range(5)]
    assert await records.list_visits("waiting", 2, *last) == []


async def test_pages_of_dead_letters_of_one_moment_hold_each_of_them_once(database: Database) -> None:
    letters = SqlDeadLetters(database)
    ids = [await SqlInbox(database).store_dead(Delivery(b"%d" % n), "not_fhir", "") for n in range(5)]
    async with database.transaction() as connection:
        await connection.execute(update(dead_letters).values(received_at=MOMENT))
    seen, last = [], (None, None)
    for _ in range(3):
        page = await letters.list_letters("open", 2, *last)
        seen += [row["id"] for row in page]
        last = datetime.fromisoformat(page[-1]["receivedAt"]), page[-1]["id"]
    assert sorted(seen) == sorted(ids)


async def test_only_letters_that_say_the_same_are_one(database: Database) -> None:
    inbox, letters = SqlInbox(database), SqlDeadLetters(database)
    first = Delivery(b"{}", "application/fhir+json", "fhir.Media.update", "m1", {"ce-id": "1", "ce-type": "a"}, "amqp")
    others = [
        replace(first, routing_key="fhir.Media.delete"),
        replace(first, content_type=None),
        replace(first, headers={"ce-id": "2", "ce-type": "a"}),
        replace(first, headers={}),
    ]
    ids = [await inbox.store_dead(one, "delivery_limit", "") for one in (first, *others)]
    assert len(set(ids)) == 5
    again = replace(first, headers={"ce-type": "a", "ce-id": "1"}, message_id="m2")
    assert [await inbox.store_dead(one, "delivery_limit", "again") for one in (again, *others)] == ids
    assert len(await letters.list_letters("open", 10, None)) == 5


async def test_a_list_of_large_letters_leaves_their_bodies_where_they_are(database: Database) -> None:
    letters = SqlDeadLetters(database)
    for number in range(4):
        await SqlInbox(database).store_dead(Delivery(b"%d" % number + b"\xff" * 4 * MB), "too_large", "")
    tracemalloc.start()
    try:
        listed = await letters.list_letters("open", 10, None)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [row["size"] for row in listed] == [4 * MB + 1] * 4
    assert most < 2 * MB


@pytest.mark.parametrize("state", ["waiting", "parked"])
async def test_a_visit_that_nobody_works_on_is_discarded_until_an_event_brings_news(
    database: Database, state: str
) -> None:
    records = SqlVisitRecords(database)
    await tell(database)
    await set_visits(database, state=state, reason="not_in_ehr", waiting_on="ehr", attempts=7)
    await records.discard_visit("Encounter/e1")
    shown = await records.show_visit("Encounter/e1")
    assert shown is not None
    assert (shown["state"], shown["reason"], shown["nextAt"]) == ("cancelled", "discarded", None)
    assert await records.oldest_due() == 0
    await tell(database, status="completed")
    shown = await records.show_visit("Encounter/e1")
    assert shown is not None
    assert shown["state"] == "waiting"
    assert shown["nextAt"] is not None


async def test_a_visit_is_not_taken_from_a_runner_that_holds_it(database: Database) -> None:
    records = SqlVisitRecords(database)
    await tell(database)
    await set_visits(database, state="working", owner="somebody", lease_until=clock(60), next_at=None)
    await records.retry_visit("Encounter/e1")
    with pytest.raises(NotNow, match="Encounter/e1 is being worked on: try again"):
        await records.discard_visit("Encounter/e1")
    (row,) = await records.list_visits("working", 10, None)
    assert row["nextAt"] is not None


async def test_a_visit_whose_runner_died_is_discarded_and_that_runner_writes_nothing_more(database: Database) -> None:
    records = SqlVisitRecords(database)
    await tell(database)
    await set_visits(database, state="working", owner="dead", lease_until=clock(-1), fence=3)
    (row,) = await records.list_visits("working", 10, None)
    await records.discard_visit("Encounter/e1")
    with pytest.raises(LostLease):
        await SqlVisits(database).renew(Visit(row["id"], row["key"], 3, 1, 0, None, 0.0), 60)
    assert [row["key"] for row in await records.list_visits("cancelled", 10, None)] == ["Encounter/e1"]


@pytest.mark.parametrize("state", ["done", "cancelled"])
async def test_a_visit_that_has_ended_is_not_discarded(database: Database, state: str) -> None:
    await tell(database)
    await set_visits(database, state=state, next_at=None)
    with pytest.raises(NotNow, match=f"Encounter/e1 is {state} already"):
        await SqlVisitRecords(database).discard_visit("Encounter/e1")


async def test_a_visit_that_is_not_there_is_not_discarded(database: Database) -> None:
    with pytest.raises(KeyError):
        await SqlVisitRecords(database).discard_visit("Encounter/e1")
