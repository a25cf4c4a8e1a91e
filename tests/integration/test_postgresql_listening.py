"""A visit that one process made due is worked on by another at once, long before that would have looked by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from adapters.database.listening import announce
from service.events.delivery import Delivery
from service.events.event import Origin, from_resource
from service.settings import read_settings
from tests.journey.hospital import open_hospital
from tests.nodes.pgbouncer import PgBouncerNode
from tests.nodes.postgresql import PostgresNode


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.msg["event"] for r in caplog.records if isinstance(r.msg, dict) and "listening" in r.msg["event"]]


@asynccontextmanager
async def another_process(url: str) -> AsyncIterator[Database]:
    async with Database.connect(read_settings(database={"url": url}).database) as database:
        yield database


async def tell_due(database: Database) -> None:
    async with database.transaction() as connection:
        await announce(connection)


async def is_set(wake: asyncio.Event, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        await wake.wait()
    wake.clear()


async def administer(node: PostgresNode, statement: str, *values: str) -> int:
    """How many rows it returned."""
    operator = await asyncpg.connect(node.url(driver=""))
    rows = await operator.fetch(statement, *values)
    await operator.close()
    return len(rows)


END_LISTENERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'LISTEN%'"


async def test_an_event_taken_in_by_another_process_is_worked_on_at_once(tmp_path: Path, postgres_url: str) -> None:
    parts = {"database": {"url": postgres_url}, "worker": {"poll": 300}}
    async with open_hospital(tmp_path, **parts) as hospital, another_process(postgres_url) as other:
        for resource in (await hospital.admit(), await hospital.record()):
            base = hospital.house.ehr.base_url
            event = from_resource(resource, Origin(base, resource["resourceType"]))
            await SqlInbox(other).store(Delivery(b"{}"), [event], "sandbox")
        await hospital.until("done", seconds=20)
        assert len(await hospital.notes()) == 1


async def test_it_is_heard_again_after_the_connection_was_ended(
    database: Database, postgres_url: str, postgresql_node: PostgresNode
) -> None:
    wake, name = asyncio.Event(), postgres_url.rsplit("/", 1)[1]
    async with database.told_of_due(wake), another_process(postgres_url) as other:
        await is_set(wake)
        for _ in range(2):
            await tell_due(other)
            await is_set(wake)
            assert await administer(postgresql_node, END_LISTENERS, name) == 1
            await is_set(wake)  # it may have missed something
        await tell_due(other)
        await is_set(wake)


async def test_an_outage_of_several_attempts_is_told_of_once(
    database: Database, postgres_url: str, postgresql_node: PostgresNode, caplog: pytest.LogCaptureFixture
) -> None:
    wake, name = asyncio.Event(), postgres_url.rsplit("/", 1)[1]
    async with database.told_of_due(wake):
        await is_set(wake)
        await administer(postgresql_node, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await administer(postgresql_node, END_LISTENERS, name)
        await asyncio.sleep(1.5)
        await administer(postgresql_node, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await is_set(wake)
    assert said(caplog) == ["listening_lost", "listening_again"]


async def test_behind_a_pooler_nothing_is_held_for_it(
    pgbouncer: PgBouncerNode, database: Database, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    wake, name = asyncio.Event(), postgres_url.rsplit("/", 1)[1]
    async with another_process(pgbouncer.url(name)) as pooled, pooled.told_of_due(wake):
        await tell_due(pooled)
        with pytest.raises(TimeoutError):
            await is_set(wake, 0.5)
        assert said(caplog) == ["listening_impossible"]
