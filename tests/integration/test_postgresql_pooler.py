"""PgBouncer in transaction mode: the server connection changes with every transaction, and nothing has to be set."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from adapters.database.database import Database
from adapters.database.migrate import HEAD
from service.settings import read_settings
from tests.journey.hospital import Hospital, open_hospital
from tests.nodes.pgbouncer import PgBouncerNode


@pytest.fixture
def pooled_url(pgbouncer: PgBouncerNode, postgres_url: str) -> str:
    """Of the same empty database, through the pooler."""
    return pgbouncer.url(postgres_url.rsplit("/", 1)[1])


async def test_many_visits_at_once_end_in_one_note_each(tmp_path: Path, pooled_url: str) -> None:
    encounters = [f"e{n}" for n in range(6)]

    async def is_filed(hospital: Hospital, encounter: str) -> int:
        events = [await hospital.admit(encounter), await hospital.record(f"m-{encounter}", encounter=encounter)]
        await hospital.tell(*events)
        await hospital.until("done", f"Encounter/{encounter}", seconds=30)
        return len(await hospital.notes(encounter))

    async with asyncio.timeout(60), open_hospital(tmp_path, database={"url": pooled_url}) as hospital:
        filed = await asyncio.gather(*(is_filed(hospital, encounter) for encounter in encounters))
    assert filed == [1] * len(encounters)


async def test_migrating_and_asking_outside_a_transaction_leave_no_statement_behind(
    pooled_url: str, postgres_url: str
) -> None:
    settings = read_settings(database={"url": pooled_url})
    async with asyncio.timeout(30), Database.connect(settings.database) as database:
        await asyncio.gather(database.migrate(), database.migrate())

        async def ask(number: int) -> None:
            async with database.reading() as connection:
                for n in range(10):
                    answer = await connection.execute(text("SELECT CAST(:n AS int) + 1"), {"n": number * n})
                    assert answer.scalar_one() == number * n + 1

        await asyncio.gather(*(ask(number) for number in range(20)))
        async with database.reading() as connection:
            assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == HEAD
    assert await _prepared(pooled_url) == {0}


async def _prepared(url: str) -> set[int]:
    """How many named statements each of the server connections holds."""
    counts = set()
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), statement_cache_size=0)
    for _ in range(9):
        counts.add(await connection.fetchval("SELECT count(*) FROM pg_prepared_statements"))
    await connection.close()
    return counts


async def test_without_a_pooler_statements_are_prepared_once(database: Database) -> None:
    async with database.reading() as connection:
        for n in range(5):
            await connection.execute(text("SELECT CAST(:n AS int)"), {"n": n})
        prepared = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT CAST($1%'")
        assert (await connection.execute(prepared)).scalar_one() == 1
