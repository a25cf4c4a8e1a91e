"""A Bundle that notifies thousands is read in time and stored without keeping everybody else from writing."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from adapters.database.workflow_tables import deliveries, events
from service.events.delivery import Delivery
from service.events.event import Event
from service.events.reading import read_events
from tests.unit.test_events_shapes import BASE, Json, bundle, status

MANY = 120


def read(body: Json) -> list[Event]:
    return read_events(Delivery(json.dumps(body).encode()), BASE)


def encounters(count: int) -> list[Event]:
    return read(bundle(status(*((number, f"Encounter/e{number}") for number in range(count)))))


async def count(database: Database) -> tuple[int, int]:
    async with database.transaction() as connection:
        rows = [(await connection.execute(select(func.count()).select_from(table))).scalar_one() for table in (deliveries, events)]  # fmt: skip
    return rows[0], rows[1]


def test_thousands_of_notifications_beside_thousands_of_entries_are_read_in_seconds() -> None:
    foci = [(number, f"Media/m{number}") for number in range(4000)]
    began = time.process_time()
    assert len(read(bundle(status(*foci), *({"a": 1} for _ in range(20_000))))) == 4000
    assert time.process_time() - began < 30  # each looked for among all took minutes


def test_of_several_entries_about_one_resource_the_first_counts() -> None:
    first, second = ({"resource": {"resourceType": "Encounter", "id": "e1", "status": said}} for said in ("finished", "planned"))  # fmt: skip
    assert read(bundle(status(("1", "Encounter/e1")), first, second))[0].resource == first["resource"]
    named = {**second, "fullUrl": f"{BASE}/Encounter/e1"}
    assert read(bundle(status(("1", f"{BASE}/Encounter/e1")), first, named))[0].resource == second["resource"]


async def test_others_write_between_the_commits_of_a_delivery_with_many_events(database: Database) -> None:
    storing = asyncio.create_task(SqlInbox(database).store(Delivery(b"{}"), encounters(MANY), "ehr"))
    await asyncio.sleep(0)
    seen = [await count(database) for _ in range(2)]
    stored = await storing
    assert (stored.stored, stored.duplicates, stored.conflicts) == (MANY, 0, 0)
    assert any(0 < known < MANY for _, known in seen)
    assert await count(database) == (1, MANY)


async def test_a_delivery_that_was_cut_off_is_completed_when_it_comes_again(database: Database) -> None:
    inbox, told = SqlInbox(database), encounters(MANY)
    broken = [*told[:-1], replace(told[-1], operation=object())]  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await inbox.store(Delivery(b"{}"), broken, "ehr")
    stored = await inbox.store(Delivery(b"{}"), told, "ehr")
    assert 0 < stored.stored < MANY
    assert stored.stored + stored.duplicates == MANY
    assert (await count(database))[1] == MANY
