"""The steps of a visit: intents, and results once they are known. Called within a transaction that holds the lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, case, delete, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.facts import insert_into
from adapters.database.schema import clock, seconds_since
from adapters.database.workflow_tables import steps
from service.workflow.ports import Intents
from service.workflow.visit import Step, Taken, Visit, Write, WriteState


async def load_steps(connection: AsyncConnection, visit: str) -> dict[str, Step]:
    """In the order in which they were begun."""
    ago = seconds_since(connection, steps.c.sent_at).label("ago")
    query = select(steps, ago).where(steps.c.visit_id == visit).order_by(steps.c.started_at)
    return {row["name"]: _step(row) for row in (await connection.execute(query)).mappings()}


def _step(row: RowMapping) -> Step:
    write = Write(row["write"], float(row["ago"]), row["sent"] or {}) if row["write"] else None
    return Step(row["name"], row["started_at"], row["finished_at"], row["attempts"], row["result"] or {}, write)


async def begin(connection: AsyncConnection, visit: Visit, intents: Intents) -> None:
    """One attempt more at each; what an earlier intent knew beforehand stays."""
    if not intents:
        return
    rows = [
        {**_key(visit, name), "attempts": 1, "fence": visit.fence, "started_at": clock(), "result": dict(known) or None}
        for name, known in intents.items()
    ]
    again = {"attempts": steps.c.attempts + 1, "fence": visit.fence}
    await connection.execute(
        insert_into(connection, steps).values(rows).on_conflict_do_update(index_elements=_KEY, set_=again)
    )


async def record(connection: AsyncConnection, visit: Visit, taken: Sequence[Taken]) -> None:
    for step in taken:
        began = {} if step.began is None else {"started_at": clock(-step.began)}
        row = {**_key(visit, step.name), "attempts": 1, "fence": visit.fence, "started_at": clock(), **began}
        insert = insert_into(connection, steps)
        if step.result is None:
            await connection.execute(insert.values(row).on_conflict_do_nothing())
            continue
        filed = case((steps.c.write.is_not(None), "filed"), else_=null())
        ended = {"finished_at": clock(-step.ended), "result": dict(step.result), "fence": visit.fence}
        await connection.execute(
            insert.values({**row, **ended}).on_conflict_do_update(
                index_elements=_KEY, set_={**began, **ended, "write": filed}
            )
        )


async def sending(connection: AsyncConnection, visit: Visit, writes: Mapping[str, Mapping[str, Any]]) -> None:
    """The ledger's word before each request; the steps' intents are there already."""
    for name, sent in writes.items():
        here = (steps.c.visit_id == visit.id, steps.c.name == name)
        noted = update(steps).where(*here).values(write="sending", sent_at=clock(), sent=dict(sent))
        if (await connection.execute(noted)).rowcount != 1:
            raise LookupError("a write without an intent")


async def became(connection: AsyncConnection, visit: Visit, writes: Mapping[str, WriteState]) -> None:
    """What is known by now of writes that were noted as `sending`."""
    for name, state in writes.items():
        here = (steps.c.visit_id == visit.id, steps.c.name == name, steps.c.finished_at.is_(None))
        await connection.execute(update(steps).where(*here).values(write=state))


async def put_back(connection: AsyncConnection, visit: Visit, names: Sequence[str]) -> None:
    """Intents that were never acted on count no attempt."""
    if not names:
        return
    here = (steps.c.visit_id == visit.id, steps.c.name.in_(names), steps.c.finished_at.is_(None))
    await connection.execute(delete(steps).where(*here, steps.c.attempts <= 1))
    await connection.execute(update(steps).where(*here).values(attempts=steps.c.attempts - 1))


async def doubt(connection: AsyncConnection, visit: Visit, names: Sequence[str]) -> None:
    """As if their answers had never come."""
    here = (steps.c.visit_id == visit.id, steps.c.name.in_(names))
    unknown = case((steps.c.write.is_not(None), "unknown"), else_=null())
    await connection.execute(update(steps).where(*here).values(finished_at=null(), write=unknown))


async def drop(connection: AsyncConnection, visit: Visit, names: Sequence[str]) -> None:
    await connection.execute(delete(steps).where(steps.c.visit_id == visit.id, steps.c.name.in_(names)))


_KEY: list[ColumnElement[Any]] = [steps.c.visit_id, steps.c.name]


def _key(visit: Visit, name: str) -> dict[str, Any]:
    return {"visit_id": visit.id, "name": name}
