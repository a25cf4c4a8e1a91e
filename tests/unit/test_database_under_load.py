"""Many callers on few connections: everybody's turn comes, and nothing is half written."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from adapters.database.database import Database
from service.errors import Retryable
from service.settings import read_settings
from tests.nodes.loopback import free_port


@asynccontextmanager
async def two_connections(folder: Path, **options: float) -> AsyncIterator[Database]:
    settings = read_settings(database={"url": f"sqlite+aiosqlite:///{folder}/a.db", "pool": 2})
    async with Database.connect(settings.database, **options) as database:
        async with database.transaction() as connection:
            await connection.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY, label TEXT)"))
        yield database


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[Database]:
    async with two_connections(tmp_path) as database:
        yield database


async def insert(database: Database, *rows: tuple[int, str]) -> None:
    async with database.transaction() as connection:
        for n, label in rows:
            await connection.execute(text("INSERT INTO numbers VALUES (:n, :label)"), {"n": n, "label": label})


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """By another process, as it were."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=1)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def count(database: Database) -> int:
    async with database.reading() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM numbers")) or 0)


async def test_connections_are_given_in_the_order_of_asking(narrow: Database) -> None:
    served: list[int] = []

    async def ask(number: int) -> None:
        for _ in range(3):
            async with narrow.reading() as connection:
                await connection.execute(text("SELECT 1"))
            served.append(number)

    await asyncio.gather(*(ask(number) for number in range(20)))
    rounds = [set(served[start : start + 20]) for start in (0, 20, 40)]
    assert all(len(numbers) >= 18 for numbers in rounds), "nobody comes a second time before the others came once"


async def test_writers_wait_for_each_other_and_readers_for_nobody(narrow: Database) -> None:
    async with narrow.transaction() as connection:
        await connection.execute(text("INSERT INTO numbers VALUES (0, 'open')"))
        writers = [asyncio.create_task(insert(narrow, (n, "waiting"))) for n in range(1, 30)]
        assert await asyncio.wait_for(count(narrow), 5) == 0
    await asyncio.gather(*writers)
    assert await count(narrow) == 30


async def test_a_transaction_that_fails_leaves_nothing_and_its_connection_works_on(narrow: Database) -> None:
    for _ in range(5):
        with pytest.raises(IntegrityError):
            await insert(narrow, (1, "half"), (1, "twice"))
    await insert(narrow, (1, "whole"))
    assert await count(narrow) == 1


async def test_many_rows_in_one_statement_are_written_and_counted(narrow: Database) -> None:
    rows = [{"n": n, "label": str(n)} for n in range(50)]
    async with narrow.transaction() as connection:
        await connection.execute(text("INSERT INTO numbers VALUES (:n, :label)"), rows)
        changed = await connection.execute(text("UPDATE numbers SET label = 'x' WHERE n < 7"))
        returned = await connection.execute(text("DELETE FROM numbers WHERE n < 3 RETURNING n"))
        assert (changed.rowcount, sorted(returned.scalars())) == (7, [0, 1, 2])
    assert await count(narrow) == 47


async def test_a_writer_that_is_cancelled_while_it_waits_holds_no_lock_afterwards(
    tmp_path: Path, narrow: Database
) -> None:
    """Its BEGIN is carried out after it has gone."""
    for _ in range(4):
        with locked(tmp_path / "a.db"):
            writer = asyncio.create_task(insert(narrow, (1, "cancelled")))
            await asyncio.sleep(0.05)
            writer.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await writer
    with locked(tmp_path / "a.db"):
        assert await count(narrow) == 0
    await insert(narrow, (1, "whole"))


async def test_a_database_that_is_locked_elsewhere_may_be_tried_again(tmp_path: Path, narrow: Database) -> None:
    async with narrow.reading() as connection:
        await connection.execute(text("PRAGMA busy_timeout=10"))
    with locked(tmp_path / "a.db"), pytest.raises(Retryable) as failure:
        await insert(narrow, (1, "late"))
    assert failure.value.reason == "database_unavailable"
    await insert(narrow, (1, "late"))


async def test_one_process_at_a_time_is_told_that_it_is_the_only_one(tmp_path: Path, narrow: Database) -> None:
    settings = read_settings(database={"url": f"sqlite+aiosqlite:///{tmp_path}/a.db"})
    async with Database.connect(settings.database) as other:
        with narrow.sole_process() as first, other.sole_process() as second:
            assert (first, second) == (True, False)
        with other.sole_process() as second:
            assert second


async def test_writers_behind_one_that_is_locked_out_give_up_together_and_not_one_after_another(tmp_path: Path) -> None:
    async with two_connections(tmp_path, patience=0.2) as database:
        with locked(tmp_path / "a.db"):
            first = asyncio.create_task(insert(database, (0, "first")))
            await asyncio.sleep(0.05)
            async with asyncio.timeout(2):
                waiting = (insert(database, (n, "late")) for n in range(1, 20))
                failures = await asyncio.gather(*waiting, return_exceptions=True)
            assert {getattr(failure, "reason", failure) for failure in failures} == {"database_unavailable"}
            assert not first.done()
        await first
        await insert(database, (1, "whole"))
        assert await count(database) == 2


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "gave up"])
async def test_a_writer_that_left_the_line_holds_neither_place(tmp_path: Path, cancelled: bool) -> None:
    """It has the lock by then, and waits for a connection."""
    async with two_connections(tmp_path, patience=0.1) as database:
        async with database.reading(), database.reading():
            writer = asyncio.create_task(insert(database, (1, "late")))
            await asyncio.sleep(0.01)
            if cancelled:
                writer.cancel()
            with pytest.raises(asyncio.CancelledError if cancelled else Retryable):
                await writer
        await asyncio.gather(insert(database, (1, "whole")), insert(database, (2, "whole")))
        assert await count(database) == 2


@pytest.mark.parametrize("way", ["transaction", "reading"])
async def test_what_goes_wrong_with_a_file_or_a_clock_of_the_caller_is_not_blamed_on_the_database(
    narrow: Database, way: str
) -> None:
    for own in (FileNotFoundError("audio"), TimeoutError("too late")):
        with pytest.raises(type(own)):
            async with getattr(narrow, way)():
                raise own
    await insert(narrow, (1, "whole"))


async def test_a_server_that_is_not_there_may_be_tried_again() -> None:
    settings = read_settings(database={"url": f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/none"})
    async with Database.connect(settings.database) as database:
        for attempt in (database.ping, database.migrate):
            with pytest.raises(Retryable, match="database_unavailable"):
                await attempt()
