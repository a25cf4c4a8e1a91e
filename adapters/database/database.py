"""One database, SQLite or PostgreSQL, behind two ways in: `transaction` to write and `reading` to look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from adapters.database.pooler import heed_pooler
from service.errors import BadConfiguration, Retryable
from service.settings import Database as DatabaseSettings
from service.stopping import ended

_READING = {"ambient_reading": True}
_PATIENCE = 30.0
"""Seconds until waiting for the write lock and a connection is given up, and as many again for all that is done with it.
SQLite itself waits as long for other processes."""
_CONNECT_WITHIN = 10.0
_CLOSE_WITHIN = 2.0
"""Seconds. A server that hangs is left to find out by itself."""


class Database:
    """Open with `Database.connect(settings)`; every store shares one."""

    def __init__(self, engine: AsyncEngine, pool: int, patience: float = _PATIENCE) -> None:
        self._engine = engine
        self._patience = patience
        # in the order of asking, which the pool does not keep: under load it lets some wait for seconds
        self._turns = asyncio.Semaphore(pool)
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._reader = engine.execution_options(**(_READING if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}))
        # SQLite has one writer: waiting in a line is fairer than asking again and again, and costs no connection
        self._writing = asyncio.Lock() if self.is_sqlite else nullcontext()

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: DatabaseSettings, patience: float = _PATIENCE) -> AsyncIterator[Database]:
        """A pool of connections, closed on leaving. Connects at the first statement, not here."""
        engine = _engine(make_url(settings.url), settings.pool)
        try:
            yield cls(engine, settings.pool, patience)
        finally:
            await ended(asyncio.create_task(engine.dispose()), within=_CLOSE_WITHIN)

    @property
    def dialect(self) -> str:
        return self._engine.dialect.name

    @property
    def url(self) -> str:
        return self._engine.url.render_as_string(hide_password=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Commits on leaving, rolls back on an exception. In SQLite it holds the write lock from the start.

        Raises Retryable `database_unavailable`, as `reading` and `migrate` do.
        """
        with _failure_is_retryable():
            async with self._in_time(), AsyncExitStack() as held:
                yield await self._enter(held, self._engine.begin(), self._writing, self._turns)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Reads outside a transaction: each statement sees what is committed at its start."""
        with _failure_is_retryable():
            async with self._in_time(), AsyncExitStack() as held:
                yield await self._enter(held, self._reader.connect(), self._turns)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """A server that hangs holds nobody for ever: cut off, a connection is closed. In SQLite no server can hang."""
        try:
            async with asyncio.timeout(None if self.is_sqlite else 2 * self._patience) as limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise Retryable("database_unavailable", "TimeoutError") from error

    async def _enter(
        self,
        held: AsyncExitStack,
        connection: AbstractAsyncContextManager[AsyncConnection],
        *places: AbstractAsyncContextManager[None],
    ) -> AsyncConnection:
        with _unreachable_is_retryable():
            async with asyncio.timeout(self._patience):
                for place in places:
                    await held.enter_async_context(place)
            return await held.enter_async_context(connection)

    @contextmanager
    def sole_process(self) -> Iterator[bool]:
        """Whether no other process serves from this database, as only SQLite in a file can tell."""
        file = self._engine.url.database
        if not self.is_sqlite or not file or file == ":memory:":
            yield False
            return
        from adapters.database.sole_process import sole_process

        with sole_process(Path(file)) as sole:
            yield sole

    async def ping(self) -> None:
        """Raises what the driver raises when the database does not answer."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def migrate(self) -> None:
        """Brings the schema to this version; safe to run from several processes at once."""
        from adapters.database.migrate import migrate

        with _failure_is_retryable(), _unreachable_is_retryable():
            await migrate(self._engine)

    def told_of_due(self, wake: asyncio.Event) -> AbstractAsyncContextManager[None]:
        """Until left, `wake` is set at once when any process makes a visit due; SQLite's one process sets its own."""
        from adapters.database.listening import Listener

        return nullcontext() if self.is_sqlite else Listener.running(self._engine, wake)


@contextmanager
def _failure_is_retryable() -> Iterator[None]:
    """A lost connection, a failover, or a deadlock's victim may pass; a wrong statement or value may not."""
    try:
        yield
    except DBAPIError as error:
        if not _may_pass(error):
            raise
        cause = getattr(error.orig, "__cause__", None) or error.orig
        raise Retryable("database_unavailable", type(cause).__name__) from error


@contextmanager
def _unreachable_is_retryable() -> Iterator[None]:
    """Around the way to a connection alone: an OSError of the caller, once it has one, is not the database's."""
    try:
        yield
    except (PoolTimeout, OSError) as error:
        raise Retryable("database_unavailable", type(error).__name__) from error


def _may_pass(error: DBAPIError) -> bool:
    """By SQLSTATE class (PostgreSQL, appendix A): connection, rollback, resources, operator's intervention, lock."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if error.connection_invalidated or state.startswith(("08", "40", "53", "57", "55P03")):
        return True
    return not state and isinstance(error, OperationalError | InterfaceError)


def _engine(url: URL, pool: int) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        within = {} if "timeout" in url.query else {"timeout": _CONNECT_WITHIN}
        engine = create_async_engine(url, pool_size=pool, max_overflow=0, hide_parameters=True, connect_args=within)
        heed_pooler(engine.sync_engine)
        return engine
    if url.database and url.database != ":memory:":
        _make_folder(Path(url.database).parent)
    how = {"timeout": 30}
    engine = create_async_engine(url, pool_size=pool, max_overflow=0, hide_parameters=True, connect_args=how)
    event.listen(engine.sync_engine, "connect", _sqlite_on_connect)
    event.listen(engine.sync_engine, "begin", _sqlite_on_begin)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfiguration(f"AMBIENT_DATABASE__URL: {folder} cannot be made: {error.strerror}") from None


def _sqlite_on_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; _sqlite_on_begin does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_on_begin(connection: Any) -> None:
    """Without a BEGIN each statement is a transaction of its own, and nothing need be switched there and back."""
    if not connection.get_execution_options().keys() >= _READING.keys():
        connection.exec_driver_sql("BEGIN IMMEDIATE")
