"""Visits under leases with fencing numbers, on the database's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, case, delete, func, insert, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.database import Database
from adapters.database.facts import as_fact, lock, put_fact
from adapters.database.schema import clock
from adapters.database.workflow_tables import facts, steps, visits
from service.errors import LostLease
from service.workflow.visit import Fact, Settlement, Step, Visit


@dataclass(frozen=True, slots=True)
class SqlVisits:
    """Implements `service.workflow.ports.Visits`."""

    database: Database

    async def claim(self, owner: str, limit: int, lease: float) -> list[Visit]:
        async with self.database.transaction() as connection:
            ids = [row[0] for row in await connection.execute(_due(limit))]
            if not ids:
                return []
            await connection.execute(
                update(visits)
                .where(visits.c.id.in_(ids))
                .values(
                    owner=owner, lease_until=clock(lease), fence=visits.c.fence + 1, state="working", updated_at=clock()
                )
            )
            return [await _load(connection, ident) for ident in ids]

    async def renew(self, visit: Visit, lease: float) -> None:
        async with self.database.transaction() as connection:
            await _hold(connection, visit, lease_until=clock(lease))

    async def intend(self, visit: Visit, step: str) -> int:
        here = (steps.c.visit_id == visit.id) & (steps.c.name == step)
        async with self.database.transaction() as connection:
            await _hold(connection, visit)
            before = (await connection.execute(select(steps.c.attempts).where(here))).scalar()
            if before is None:
                values = {
                    "visit_id": visit.id,
                    "name": step,
                    "attempts": 1,
                    "fence": visit.fence,
                    "started_at": clock(),
                }
                await connection.execute(insert(steps).values(values))
                return 0
            await connection.execute(update(steps).where(here).values(attempts=steps.c.attempts + 1, fence=visit.fence))
            return int(before)

    async def finish(self, visit: Visit, step: str, result: Mapping[str, Any]) -> None:
        here = (steps.c.visit_id == visit.id) & (steps.c.name == step)
        async with self.database.transaction() as connection:
            await _hold(connection, visit)
            await connection.execute(
                update(steps).where(here).values(finished_at=clock(), fence=visit.fence, result=dict(result))
            )

    async def forget(self, visit: Visit, names: Sequence[str]) -> None:
        async with self.database.transaction() as connection:
            await _hold(connection, visit)
            await connection.execute(delete(steps).where(steps.c.visit_id == visit.id, steps.c.name.in_(names)))

    async def note_fact(self, visit: Visit, read: Fact, key: str, ehr: str) -> bool:
        async with self.database.transaction() as connection:
            (own,) = await lock(connection, ehr, [(read.reference, key)], also=[visit.id])
            await _hold(connection, visit)
            seen = next((fact for fact in visit.facts if fact.reference == read.reference), None)
            return bool(await put_fact(connection, ehr, own, read, seen))

    async def is_overtaken(self, visit: Visit) -> bool:
        async with self.database.reading() as connection:
            revision = (await connection.execute(select(visits.c.revision).where(visits.c.id == visit.id))).scalar_one()
        return int(revision) > visit.revision

    async def settle(self, visit: Visit, settlement: Settlement) -> None:
        overtaken = visits.c.revision > visit.revision
        due = null() if settlement.next_in is None else clock(settlement.next_in)
        still = and_(visits.c.waiting_for == settlement.waiting_for, visits.c.waiting_since.is_not(None))
        async with self.database.transaction() as connection:
            await _hold(
                connection, visit,
                state=case((overtaken, "waiting"), else_=settlement.state),
                reason=settlement.reason, detail=settlement.detail, attempts=settlement.attempts,
                next_at=case((overtaken, func.coalesce(visits.c.next_at, clock())), else_=due),
                waiting_for=settlement.waiting_for, waiting_since=case((still, visits.c.waiting_since), else_=clock()),
                owner=null(), lease_until=null(), updated_at=clock(),
            )  # fmt: skip

    async def release(self, owner: str) -> int:
        async with self.database.transaction() as connection:
            mine = select(visits.c.id).where(visits.c.owner == owner).order_by(visits.c.id).with_for_update()
            await connection.execute(mine)
            released = await connection.execute(
                update(visits)
                .where(visits.c.owner == owner)
                .values(owner=null(), lease_until=null(), state="waiting", next_at=clock(), updated_at=clock())
            )
            return released.rowcount


def _due(limit: int) -> Select[Any]:
    free = or_(visits.c.lease_until.is_(None), visits.c.lease_until < clock())
    query = select(visits.c.id).where(visits.c.next_at <= clock(), free)
    return query.order_by(visits.c.next_at).limit(limit).with_for_update(skip_locked=True)


async def _hold(connection: AsyncConnection, visit: Visit, **values: Any) -> None:
    """Proves, in the transaction at hand, that the lease is still ours. Raises LostLease."""
    held = update(visits).where(visits.c.id == visit.id, visits.c.fence == visit.fence, visits.c.owner.is_not(None))
    if (await connection.execute(held.values(values or {"fence": visit.fence}))).rowcount != 1:
        raise LostLease(f"visit {visit.id}, fence {visit.fence}")


async def _load(connection: AsyncConnection, ident: str) -> Visit:
    waited = func.coalesce(seconds_since(connection, visits.c.waiting_since), 0.0)
    row = (
        (await connection.execute(select(visits, waited.label("waited")).where(visits.c.id == ident))).mappings().one()
    )
    return Visit(
        id=row["id"], key=row["key"], fence=row["fence"], revision=row["revision"], attempts=row["attempts"],
        waiting_for=row["waiting_for"], waited=float(row["waited"]), facts=await load_facts(connection, ident), steps=await load_steps(connection, ident),
    )  # fmt: skip


def seconds_since(connection: AsyncConnection, instant: Any) -> Any:
    """Seconds between an instant column and the database's clock."""
    if connection.dialect.name == "postgresql":
        return func.extract("epoch", clock() - instant)
    return (func.julianday("now") - func.julianday(instant)) * 86400.0


async def load_facts(connection: AsyncConnection, visit: str) -> tuple[Fact, ...]:
    rows = (await connection.execute(select(facts).where(facts.c.visit_id == visit))).mappings()
    return tuple(as_fact(row) for row in rows)


async def load_steps(connection: AsyncConnection, visit: str) -> dict[str, Step]:
    rows = (
        await connection.execute(select(steps).where(steps.c.visit_id == visit).order_by(steps.c.started_at))
    ).mappings()
    return {
        r["name"]: Step(r["name"], r["started_at"], r["finished_at"], r["attempts"], r["result"] or {}) for r in rows
    }
