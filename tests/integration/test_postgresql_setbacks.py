"""A PostgreSQL that hangs, refuses what it is given, or has many visits to look through."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql

from adapters.database.database import Database
from adapters.database.schema import now
from adapters.database.workflow_tables import visits
from service.errors import Retryable
from service.settings import read_settings
from tests.journey.hospital import open_hospital


@pytest.mark.parametrize("way", ["transaction", "reading"])
async def test_a_statement_that_is_never_answered_may_be_tried_again(postgres_url: str, way: str) -> None:
    settings = read_settings(database={"url": postgres_url, "pool": 1}).database
    async with Database.connect(settings, patience=0.25) as database:
        await database.ping()
        with pytest.raises(Retryable, match="database_unavailable"):
            async with asyncio.timeout(10), getattr(database, way)() as connection:
                await connection.execute(text("SELECT pg_sleep(60)"))
        await database.ping()


async def test_a_server_that_takes_a_connection_and_says_nothing_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = read_settings(database={"url": f"postgresql+asyncpg://nobody@127.0.0.1:{port}/none"}).database
        async with asyncio.timeout(10), Database.connect(settings, patience=0.25) as database:
            with pytest.raises(Retryable, match="database_unavailable"):
                await database.ping()


class SaysNul:
    """An engine whose id for the interaction holds what PostgreSQL cannot."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._engine, name)
        if name != "create_interaction":
            return call

        async def create(*args: Any, **options: Any) -> Any:
            return f"{await call(*args, **options)}\x00Jane Doe"

        return create


async def test_what_the_database_refuses_parks_the_visit_instead_of_running_it_for_ever(
    tmp_path: Path, postgres_url: str
) -> None:
    async with open_hospital(tmp_path, database={"url": postgres_url}, worker={"poll": 0.25}) as hospital:
        hospital.house.ambient = SaysNul(hospital.house.ambient)  # type: ignore[assignment]
        await hospital.tell(await hospital.admit(), await hospital.record())
        visit = await hospital.until("parked", reason="unexpected_error")
        assert visit["detail"].startswith("DBAPIError\n")
        assert "Jane" not in visit["detail"]


@pytest.mark.parametrize("column", ["next_at", "sweep_at"])
async def test_what_is_due_is_found_by_its_index(database: Database, column: str) -> None:
    query = (
        select(visits.c.id).where(visits.c[column] <= now(), visits.c.lease_until < now()).order_by(visits.c[column])
    )
    statement = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    async with database.transaction() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        steps = list(await connection.scalars(text(f"EXPLAIN {statement}")))
    assert any(f"Index Cond: ({column} <= " in step for step in steps), steps
