"""LISTEN and NOTIFY: a visit made due by one process is worked on at once by any, not after its next look at the table.

Only a hint. It may be lost with its connection, and behind a pooler it cannot be had: then polling finds the visit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from adapters.database.pooler import is_pooled
from service.stopping import ended

log = structlog.get_logger()

CHANNEL = "ambient_due"
_PAUSES = (1.0, 2.0, 5.0, 10.0)
_ANSWER_WITHIN = 10.0
_LOOK_EVERY = 30.0
_GIVEN_UP_AFTER = 2.0


async def announce(connection: AsyncConnection) -> None:
    """Tells every process, when this transaction commits, that a visit is due. More often in one transaction is as once."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_notify(CHANNEL, "")))


class Listener:
    """Sets `wake` whenever a process announced, and after each connect, since what was announced before is unknown."""

    def __init__(self, engine: AsyncEngine, wake: asyncio.Event) -> None:
        _, self._options = engine.dialect.create_connect_args(engine.url)
        self._options.pop("prepared_statement_cache_size", None)  # the dialect's own
        self._wake = wake
        self._outage = 0

    @classmethod
    @asynccontextmanager
    async def running(cls, engine: AsyncEngine, wake: asyncio.Event) -> AsyncIterator[None]:
        """Listens until left, on a connection of its own, and connects again whenever that is lost."""
        listening = asyncio.create_task(cls(engine, wake)._for_ever())
        try:
            yield
        finally:
            listening.cancel()
            await ended(listening, within=_GIVEN_UP_AFTER)

    async def _for_ever(self) -> None:
        while True:
            try:
                await self._listen()
                return
            except Exception as error:
                if not self._outage:
                    log.warning("listening_lost", error=type(error).__name__)
            await asyncio.sleep(_PAUSES[min(self._outage, len(_PAUSES) - 1)])
            self._outage += 1

    async def _listen(self) -> None:
        """Returns when it cannot be done here; raises when the connection is lost."""
        import asyncpg  # type: ignore[import-untyped]

        connection = await asyncpg.connect(**{"timeout": _ANSWER_WITHIN, **self._options})
        try:
            if await is_pooled(connection):
                log.info("listening_impossible", reason="pooler")
                return
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda *_: self._wake.set())
            self._wake.set()
            if self._outage:
                log.info("listening_again")
            self._outage = 0
            await self._stay(connection, lost)
        finally:
            await _close(connection)

    async def _stay(self, connection: Any, lost: asyncio.Event) -> None:
        """Asks now and then: a connection whose other end has vanished looks like one on which nothing happens."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(lost.wait(), _LOOK_EVERY)
            await connection.execute("SELECT", timeout=_ANSWER_WITHIN)


async def _close(connection: Any) -> None:
    """In good form if the server is there to hear it."""
    try:
        await connection.close(timeout=1)
    except Exception:
        connection.terminate()
