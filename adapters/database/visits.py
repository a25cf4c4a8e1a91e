"""Visits under leases with fencing numbers, on the database's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.database import Database
from adapters.database.facts import as_fact, insert_into, lock, put_fact
from adapters.database.listening import announce
from adapters.database.schema import clock, now, seconds_since
from adapters.database.steps import became, begin, doubt, drop, load_steps, put_back, record, sending
from adapters.database.workflow_tables import facts, observed_ehrs, steps, visits
from service.errors import LostLease
from service.workflow.ports import Intents, Plan
from service.workflow.visit import Fact, Progress, Settlement, Taken, Visit

SWEEP_AFTER = 900.0
"""Seconds after which whatever was sent to the ambient API has arrived there, or never will."""

_FREE = or_(visits.c.lease_until.is_(None), visits.c.lease_until < now())
_NOBODYS: dict[str, Any] = {"owner": null(), "lease_until": null(), "updated_at": clock()}


@dataclass(frozen=True, slots=True)
class SqlVisits:
    """Implements `service.workflow.ports.Visits`."""

    database: Database

    async def claim(
        self, owner: str, limit: int, lease: float, plan: Plan, allowances: Mapping[str, int]
    ) -> list[Visit]:
        async with self.database.transaction() as connection:
            ids = await _due(connection, limit, allowances)
            if not ids:
                return []
            await _take(connection, ids, owner, lease, state="working", sweep_at=_sweep_if_in_doubt())
            return [await _intend(connection, await load_visit(connection, ident), plan) for ident in ids]

    async def renew(self, visit: Visit, lease: float) -> None:
        async with self.database.transaction() as connection:
            await _hold(connection, visit, lease_until=clock(lease))

    async def save(
        self, visit: Visit, taken: Sequence[Taken], intents: Intents, writes: Mapping[str, Mapping[str, Any]]
    ) -> None:
        async with self.database.transaction() as connection:
            await _hold(connection, visit)
            await record(connection, visit, taken)
            await begin(connection, visit, intents)
            await sending(connection, visit, writes)

    async def forget(self, visit: Visit, names: Sequence[str]) -> None:
        async with self.database.transaction() as connection:
            await _hold(connection, visit, sweep_at=clock(SWEEP_AFTER))
            await drop(connection, visit, names)

    async def note_fact(self, visit: Visit, read: Fact, key: str, ehr: str) -> bool:
        async with self.database.transaction() as connection:
            (own,) = await lock(connection, ehr, [(read.reference, key)], also=[visit.id])
            await _hold(connection, visit)
            seen = next((fact for fact in visit.facts if fact.reference == read.reference), None)
            return bool(await put_fact(connection, ehr, own, read, seen))

    async def is_overtaken(self, visit: Visit) -> bool:
        query = select(visits.c.revision).where(*_ours(visit))
        async with self.database.reading() as connection:
            revision = (await connection.execute(query)).scalar()
        if revision is None:
            raise _lost(visit)
        return int(revision) > visit.revision

    async def settle(self, visit: Visit, settlement: Settlement, progress: Progress) -> None:
        overtaken = visits.c.revision > visit.revision
        due = null() if settlement.next_in is None else clock(settlement.next_in)
        unknown = any(step.result is None and not step.name.startswith("transcribed:") for step in progress.taken)
        swept_at: dict[str, Any] = {"sweep_at": clock(SWEEP_AFTER)} if unknown else {}
        still = and_(visits.c.waiting_for == settlement.waiting_for, visits.c.waiting_since.is_not(None))
        async with self.database.transaction() as connection:
            await _hold(
                connection, visit,
                state=case((overtaken, "waiting"), else_=settlement.state),
                reason=settlement.reason, detail=settlement.detail, attempts=settlement.attempts,
                next_at=case((overtaken, func.coalesce(visits.c.next_at, clock())), else_=due),
                waiting_for=settlement.waiting_for, waiting_since=case((still, visits.c.waiting_since), else_=clock()),
                waiting_on=case((overtaken, null()), else_=settlement.waiting_on), **swept_at, **_NOBODYS,
            )  # fmt: skip
            await record(connection, visit, progress.taken)
            await put_back(connection, visit, progress.untouched)
            await became(connection, visit, progress.writes)
            if settlement.next_in == 0.0:
                await announce(connection)

    async def identifier_kept(self, ehr: str) -> bool | None:
        query = select(observed_ehrs.c.keeps_identifier).where(observed_ehrs.c.ehr == ehr)
        async with self.database.reading() as connection:
            return (await connection.execute(query)).scalar()

    async def note_identifier_kept(self, ehr: str, kept: bool) -> None:
        seen = {"keeps_identifier": kept, "observed_at": clock()}
        async with self.database.transaction() as connection:
            insert = insert_into(connection, observed_ehrs).values(ehr=ehr, **seen)
            await connection.execute(insert.on_conflict_do_update(index_elements=[observed_ehrs.c.ehr], set_=seen))

    async def release(self, owner: str) -> int:
        return await self._release(visits.c.owner == owner)

    async def release_all(self) -> int:
        """For the only process of its database: whoever held them is gone."""
        return await self._release(visits.c.owner.is_not(None))

    async def _release(self, held: ColumnElement[bool]) -> int:
        """A visit that was being swept is ended, and stays so."""
        working = visits.c.state == "working"
        async with self.database.transaction() as connection:
            await connection.execute(select(visits.c.id).where(held).order_by(visits.c.id).with_for_update())
            due = {
                "state": case((working, "waiting"), else_=visits.c.state),
                "next_at": case((working, clock()), else_=visits.c.next_at),
            }
            released = (await connection.execute(update(visits).where(held).values(**due, **_NOBODYS))).rowcount
            if released:
                await announce(connection)
            return released

    async def claim_unswept(self, owner: str, limit: int, lease: float, early: bool) -> list[Visit]:
        ready = visits.c.sweep_at.is_not(None) if early else visits.c.sweep_at <= now()
        ended = visits.c.next_at.is_(None), visits.c.reason.is_distinct_from("several_matches")
        query = select(visits.c.id).where(ready, *ended, _FREE).order_by(visits.c.sweep_at)
        async with self.database.transaction() as connection:
            ids = await _ids(connection, query, limit)
            if ids:
                await _take(connection, ids, owner, lease)
            return [await load_visit(connection, ident) for ident in ids]

    async def swept(self, visit: Visit, *, clean: bool, doubted: Sequence[str] = ()) -> None:
        async with self.database.transaction() as connection:
            if doubted and await _is_discarded(connection, visit):
                doubted = ()
            due: dict[str, Any] = {"state": "waiting", "next_at": clock(), "attempts": 0} if doubted else {}
            again = null() if clean and not doubted else clock(SWEEP_AFTER)
            await _hold(connection, visit, sweep_at=again, **due, **_NOBODYS)
            if doubted:
                await doubt(connection, visit, doubted)
                await announce(connection)


async def _is_discarded(connection: AsyncConnection, visit: Visit) -> bool:
    """By a person, who wrote the note by hand: it is not taken up again."""
    reason = await connection.scalar(select(visits.c.reason).where(visits.c.id == visit.id))
    return reason == "discarded"


async def _due(connection: AsyncConnection, limit: int, allowances: Mapping[str, int]) -> list[str]:
    """The ids of due visits; those that wait on a destination with an allowance come after the others."""
    query = select(visits.c.id).where(visits.c.next_at <= now(), _FREE).order_by(visits.c.next_at)
    if not allowances:
        return await _ids(connection, query, limit)
    elsewhere = or_(visits.c.waiting_on.is_(None), visits.c.waiting_on.not_in(list(allowances)))
    ids = await _ids(connection, query.where(elsewhere), limit)
    for name, allowance in allowances.items():
        ids += await _ids(connection, query.where(visits.c.waiting_on == name), min(allowance, limit - len(ids)))
    return ids


async def _ids(connection: AsyncConnection, query: Select[Any], limit: int) -> list[str]:
    if limit <= 0:
        return []
    return list((await connection.scalars(query.limit(limit).with_for_update(skip_locked=True))).all())


async def _take(connection: AsyncConnection, ids: Sequence[str], owner: str, lease: float, **values: Any) -> None:
    held = {"owner": owner, "lease_until": clock(lease), "fence": visits.c.fence + 1, **values}
    await connection.execute(update(visits).where(visits.c.id.in_(ids)).values(**held, updated_at=clock()))


def _sweep_if_in_doubt() -> Any:
    """An intent without a result: an earlier run may have left something at the ambient API."""
    unknown = exists().where(steps.c.visit_id == visits.c.id, steps.c.finished_at.is_(None))
    sent = steps.c.name.not_like("transcribed:%")
    return case((unknown.where(sent), clock(SWEEP_AFTER)), else_=visits.c.sweep_at)


async def _intend(connection: AsyncConnection, visit: Visit, plan: Plan) -> Visit:
    intents = plan(visit)
    await begin(connection, visit, intents)
    return replace(visit, intended=frozenset(intents))


def _ours(visit: Visit) -> tuple[ColumnElement[bool], ...]:
    return visits.c.id == visit.id, visits.c.fence == visit.fence, visits.c.owner.is_not(None)


async def _hold(connection: AsyncConnection, visit: Visit, **values: Any) -> None:
    """Proves, in the transaction at hand, that the lease is still ours. Raises LostLease."""
    held = update(visits).where(*_ours(visit)).values(values or {"fence": visit.fence})
    if (await connection.execute(held)).rowcount != 1:
        raise _lost(visit)


def _lost(visit: Visit) -> LostLease:
    return LostLease(f"visit {visit.id}, fence {visit.fence}")


async def load_visit(connection: AsyncConnection, ident: str) -> Visit:
    waited = func.coalesce(seconds_since(connection, visits.c.waiting_since), 0.0)
    row = (
        (await connection.execute(select(visits, waited.label("waited")).where(visits.c.id == ident))).mappings().one()
    )
    return Visit(
        id=row["id"], key=row["key"], fence=row["fence"], revision=row["revision"], attempts=row["attempts"],
        waiting_for=row["waiting_for"], waited=float(row["waited"]), facts=await load_facts(connection, ident), steps=await load_steps(connection, ident),
    )  # fmt: skip


async def load_facts(connection: AsyncConnection, visit: str) -> tuple[Fact, ...]:
    rows = (await connection.execute(select(facts).where(facts.c.visit_id == visit))).mappings()
    return tuple(as_fact(row) for row in rows)
