"""A migration of a database that is in use waits its turn without making everybody else wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from adapters.database.database import Database
from adapters.database.migrate import HEAD, current_revision, migrate
from service.errors import Retryable
from service.settings import read_settings
from tests.old_database import old_database


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    """Of a database as v0.1.0 left it."""
    async with Database.connect(read_settings(database={"url": postgres_url}).database) as database:
        await old_database(database)
    engine = create_async_engine(postgres_url)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def long_transaction(url: str) -> AsyncIterator[None]:
    """One that has read the visits, as a backup or a forgotten session has."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    async with connection.transaction():
        await connection.fetch("SELECT * FROM visits")
        yield
    await connection.close()


async def revision(engine: AsyncEngine) -> str | None:
    async with engine.connect() as connection:
        return await connection.run_sync(current_revision)


async def test_a_long_transaction_delays_the_migration_and_nobody_else(engine: AsyncEngine, postgres_url: str) -> None:
    async with long_transaction(postgres_url):
        migrating = asyncio.create_task(migrate(engine, patience=0.3))
        await asyncio.sleep(0.2)
        for _ in range(5):
            async with asyncio.timeout(2), long_transaction(postgres_url):
                await asyncio.sleep(0.1)
        assert not migrating.done()
    await migrating
    assert await revision(engine) == HEAD


async def test_a_migration_that_never_gets_its_turn_gives_up_and_has_changed_nothing(
    engine: AsyncEngine, postgres_url: str
) -> None:
    async with long_transaction(postgres_url):
        with pytest.raises(Retryable, match="long transactions hold its tables"):
            await migrate(engine, attempts=2, patience=0.1)
        assert await revision(engine) == "0001"
