"""Which canaries came out of the queue, and when, for all processes that share it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select

from adapters.database.database import Database
from adapters.database.facts import insert_into
from adapters.database.schema import clock, seconds_since
from adapters.database.workflow_tables import canaries

FORGOTTEN_AFTER = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class SqlCanaries:
    """Implements `service.workflow.ports.Canaries`."""

    database: Database

    async def note(self, name: str) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(delete(canaries).where(canaries.c.taken_at < clock(-FORGOTTEN_AFTER)))
            now = insert_into(connection, canaries).values(name=name, taken_at=clock())
            await connection.execute(now.on_conflict_do_update(index_elements=["name"], set_={"taken_at": clock()}))

    async def age(self, name: str) -> float | None:
        async with self.database.reading() as connection:
            age = select(seconds_since(connection, canaries.c.taken_at)).where(canaries.c.name == name)
            seconds = (await connection.execute(age)).scalar()
        return None if seconds is None else max(0.0, float(seconds))
