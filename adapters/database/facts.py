"""The latest word on each resource, and the visits that it wakes.

Locks are taken in one order everywhere: resources by name, then visits by id. Two writers may want the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, case, exists, func, insert, null, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.listening import announce
from adapters.database.schema import clock
from adapters.database.workflow_tables import facts, steps, visits
from service.workflow.visit import RECORDINGS, Fact, is_newer, meaning, visit_id

Claim = tuple[str, str | None]
"""A resource (`Type/id`) and the key of the visit that it belongs to now; None: the one it belonged to so far."""


async def lock(connection: AsyncConnection, ehr: str, claims: Sequence[Claim], also: Sequence[str] = ()) -> list[str]:
    """The id of each claim's visit, made if need be. From here to the commit nobody else writes about these
    resources, nor about the visits that they belong or belonged to, nor `also` those with these ids."""
    if connection.dialect.name == "postgresql":
        for name in sorted({reference for reference, _ in claims}):
            await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{ehr}|{name}", 0))))
    before = await _visits_so_far(connection, ehr, [reference for reference, _ in claims])
    keys = {key or reference for reference, key in claims if key or reference not in before}
    for key in sorted(keys, key=lambda key: visit_id(ehr, key)):
        await _ensure_visit(connection, ehr, key)
    own = [
        visit_id(ehr, key) if key else before.get(reference) or visit_id(ehr, reference) for reference, key in claims
    ]
    wanted = sorted({*own, *before.values(), *also})
    await connection.execute(select(visits.c.id).where(visits.c.id.in_(wanted)).order_by(visits.c.id).with_for_update())
    return own


async def put_fact(
    connection: AsyncConnection, ehr: str, visit: str, fact: Fact, seen: Fact | None = None
) -> list[str]:
    """Stores a fact where it is news; returns the visits that it makes due. A resource that moved wakes both visits.

    `seen` is given for what was read from the EHR: where nothing else was stored since, the EHR is right even about a
    version that an event claimed to be older. Call `lock` first.
    """
    here = _row_of(ehr, fact)
    row = (await connection.execute(select(facts).where(here))).mappings().one_or_none()
    values = {
        "visit_id": visit, "version": fact.version, "last_updated": fact.last_updated, "deleted": fact.deleted, "resource": fact.resource,
    }  # fmt: skip
    if row is None:
        names = {"ehr": ehr, "resource_type": fact.type, "resource_id": fact.id}
        await connection.execute(insert(facts).values(**names, **values))
        return await wake(connection, [visit])
    known = as_fact(row)
    unmoved = row["visit_id"] == visit and fact.deleted == known.deleted
    if not is_newer(fact, known) and (seen is None or known != seen):
        return []
    if fact.deleted and fact.resource is None:
        values |= {"resource": known.resource, "version": fact.version or known.version, "last_updated": fact.last_updated or known.last_updated}  # fmt: skip
    await connection.execute(update(facts).where(here).values(values))
    if unmoved and (fact.deleted or (fact.resource is not None and meaning(fact) == meaning(known))):
        return []  # a newer version that says the same: worth remembering, so that an older one is known to be older
    return await wake(connection, sorted({visit, row["visit_id"]}))


async def drop_claims(connection: AsyncConnection, visit: str, detail: str) -> None:
    """For a visit parked as `ehr_behind` that a person wants on: about the resource in `detail`, what events claimed of its
    version is forgotten, and that it was deleted. The next reading decides. The visit's row is locked.
    """
    for row in (await connection.execute(select(facts).where(facts.c.visit_id == visit))).mappings().all():
        fact = as_fact(row)
        if re.search(rf"(?:^|; ){re.escape(fact.reference)}: ", detail):
            said = None if fact.deleted else fact.resource
            values = {"version": None, "last_updated": None, "deleted": False, "resource": said}
            await connection.execute(update(facts).where(_row_of(row["ehr"], fact)).values(values))


async def wake(connection: AsyncConnection, ids: list[str]) -> list[str]:
    """Makes visits due; one that has neither Media nor work is settled at once: it has no recording. Returns the due ones."""
    held = and_(visits.c.lease_until.is_not(None), visits.c.lease_until > clock())
    to_do = or_(
        exists().where(facts.c.visit_id == visits.c.id, facts.c.resource_type.in_(RECORDINGS)),
        exists().where(steps.c.visit_id == visits.c.id),
        held,
    )
    no_longer = visits.c.reason == "no_recording"
    await connection.execute(
        update(visits)
        .where(visits.c.id.in_(ids))
        .values(
            revision=visits.c.revision + 1,
            next_at=case((to_do, clock()), else_=null()),
            state=case((held, visits.c.state), (to_do, "waiting"), else_="done"),
            reason=case((~to_do, "no_recording"), (no_longer, null()), else_=visits.c.reason),
            attempts=0,
            waiting_on=null(),
            updated_at=clock(),
        )
    )
    woken = select(visits.c.id).where(visits.c.id.in_(ids), visits.c.next_at.is_not(None))
    due = [row[0] for row in await connection.execute(woken)]
    if due:
        await announce(connection)
    return due


def as_fact(row: Any) -> Fact:
    return Fact(
        row["resource_type"], row["resource_id"], row["version"], row["last_updated"], row["deleted"], row["resource"]
    )


def _row_of(ehr: str, fact: Fact) -> ColumnElement[bool]:
    return (facts.c.ehr == ehr) & (facts.c.resource_type == fact.type) & (facts.c.resource_id == fact.id)


async def _visits_so_far(connection: AsyncConnection, ehr: str, references: Sequence[str]) -> dict[str, str]:
    pairs = [tuple(reference.split("/", 1)) for reference in references]
    query = select(facts.c.resource_type, facts.c.resource_id, facts.c.visit_id).where(
        facts.c.ehr == ehr, tuple_(facts.c.resource_type, facts.c.resource_id).in_(pairs)
    )
    return {f"{kind}/{ident}": visit for kind, ident, visit in await connection.execute(query)}


async def _ensure_visit(connection: AsyncConnection, ehr: str, key: str) -> None:
    values = {
        "id": visit_id(ehr, key),
        "ehr": ehr,
        "key": key,
        "state": "done",
        "reason": "no_recording",
        "fence": 0,
        "revision": 0,
        "attempts": 0,
    }
    await connection.execute(insert_into(connection, visits).values(values).on_conflict_do_nothing())


def insert_into(connection: AsyncConnection, table: Table) -> Any:
    """The dialect's own INSERT, which knows ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as dialect_insert
    else:
        from sqlalchemy.dialects.sqlite import insert as dialect_insert  # type: ignore[assignment]
    return dialect_insert(table)
