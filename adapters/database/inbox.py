"""Inbox, then ack: everything one delivery changes, in one short commit."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, exists, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.database import Database
from adapters.database.schema import clock
from adapters.database.workflow_tables import dead_letters, deliveries, events, facts, steps, visits
from service.events.delivery import Delivery
from service.events.event import Event
from service.workflow.ports import Stored
from service.workflow.visit import Fact, is_newer, visit_id


@dataclass(frozen=True, slots=True)
class SqlInbox:
    """Implements `service.workflow.ports.Inbox`."""

    database: Database

    async def store(self, delivery: Delivery, events_in: Sequence[Event], ehr: str) -> Stored:
        async with self.database.transaction() as connection:
            fresh, conflicts = await _unknown(connection, events_in)
            if not fresh:
                return Stored(0, len(events_in), 0, [])
            delivery_id = await _keep(connection, delivery)
            woken = []
            for event in sorted(fresh, key=lambda e: (e.encounter or "", e.reference)):
                visit = await _visit_of(connection, event, ehr)
                await connection.execute(insert(events).values(_event_row(event, delivery_id, visit)))
                woken += await put_fact(connection, visit, _fact(event))
            return Stored(len(fresh), len(events_in) - len(fresh), conflicts, sorted(set(woken)))

    async def store_dead(self, delivery: Delivery, reason: str, detail: str) -> str:
        sha256 = hashlib.sha256(delivery.body).hexdigest()
        row = {
            "id": str(uuid.uuid4()), "reason": reason, "detail": detail, "state": "open", "transport": delivery.transport,
            "routing_key": _stored(delivery.routing_key), "content_type": _stored(delivery.content_type), "message_id": _stored(delivery.message_id),
            "headers": {_stored(name): _stored(value) for name, value in delivery.headers.items()},
            "sha256": sha256, "body": delivery.body,
        }  # fmt: skip
        async with self.database.transaction() as connection:
            known = select(dead_letters.c.id).where(
                dead_letters.c.sha256 == sha256, dead_letters.c.state == "open", dead_letters.c.reason == reason
            )
            found = (await connection.execute(known)).scalar()
            if found:
                return str(found)
            await connection.execute(insert(dead_letters).values(row))
        return str(row["id"])


def _stored(text: str | None) -> str | None:
    """Without NUL and lone surrogates, which PostgreSQL's text cannot hold: a delivery must not fail for its envelope."""
    return text.replace("\x00", "").encode(errors="replace").decode() if text else text


async def _unknown(connection: AsyncConnection, events_in: Sequence[Event]) -> tuple[list[Event], int]:
    """The events not stored before, and how many of them reuse a known id for something else."""
    fresh, conflicts, seen = [], 0, set()
    for event in events_in:
        query = select(events.c.sha256).where(events.c.source == event.source, events.c.event_id == event.id)
        known = {row[0] for row in await connection.execute(query)}
        if event.fingerprint in known or (event.source, event.id, event.fingerprint) in seen:
            continue
        conflicts += bool(known)
        seen.add((event.source, event.id, event.fingerprint))
        fresh.append(event)
    return fresh, conflicts


async def _keep(connection: AsyncConnection, delivery: Delivery) -> str:
    ident = str(uuid.uuid4())
    await connection.execute(
        insert(deliveries).values(
            id=ident, transport=delivery.transport, routing_key=_stored(delivery.routing_key), content_type=_stored(delivery.content_type),
            sha256=hashlib.sha256(delivery.body).hexdigest(), body=delivery.body,
        )
    )  # fmt: skip
    return ident


async def _visit_of(connection: AsyncConnection, event: Event, ehr: str) -> str:
    """The visit that the event's resource belongs to, made if need be."""
    if event.encounter:
        return await ensure_visit(connection, f"Encounter/{event.encounter}", ehr)
    if event.resource is None:
        known = select(facts.c.visit_id).where(
            facts.c.resource_type == event.type, facts.c.resource_id == event.resource_id
        )
        if found := (await connection.execute(known)).scalar():
            return str(found)
    return await ensure_visit(connection, event.reference, ehr)


async def ensure_visit(connection: AsyncConnection, key: str, ehr: str) -> str:
    ident = visit_id(ehr, key)
    values = {"id": ident, "key": key, "state": "waiting", "fence": 0, "revision": 0, "attempts": 0}
    await connection.execute(_insert(connection)(visits).values(values).on_conflict_do_nothing(index_elements=["id"]))
    return ident


def _insert(connection: AsyncConnection) -> Any:
    """The dialect's own INSERT, which knows ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as dialect_insert
    else:
        from sqlalchemy.dialects.sqlite import insert as dialect_insert  # type: ignore[assignment]
    return dialect_insert


async def put_fact(connection: AsyncConnection, visit: str, fact: Fact) -> list[str]:
    """Stores a fact if it is newer than what is known; returns the visits that it makes due.

    A resource that moved to another visit wakes both. The visit's row is locked first, so facts of one visit are
    stored one after the other.
    """
    await connection.execute(select(visits.c.id).where(visits.c.id == visit).with_for_update())
    here = (facts.c.resource_type == fact.type) & (facts.c.resource_id == fact.id)
    row = (await connection.execute(select(facts).where(here).with_for_update())).mappings().one_or_none()
    values = {
        "visit_id": visit, "version": fact.version, "last_updated": fact.last_updated, "deleted": fact.deleted, "resource": fact.resource,
    }  # fmt: skip
    if row is None:
        await connection.execute(insert(facts).values(resource_type=fact.type, resource_id=fact.id, **values))
        return await wake(connection, [visit])
    known = Fact(
        row["resource_type"], row["resource_id"], row["version"], row["last_updated"], row["deleted"], row["resource"]
    )
    if not is_newer(fact, known) or (
        fact.resource == known.resource and fact.deleted == known.deleted and row["visit_id"] == visit
    ):
        return []
    if fact.deleted and fact.resource is None:
        values |= {
            "resource": known.resource,
            "version": fact.version or known.version,
            "last_updated": fact.last_updated or known.last_updated,
        }
    await connection.execute(update(facts).where(here).values(values))
    return await wake(connection, sorted({visit, row["visit_id"]}))


async def wake(connection: AsyncConnection, ids: list[str]) -> list[str]:
    """Makes visits due; one with neither Media nor earlier work is settled at once: it has no recording. Returns the due ones."""
    has_media = exists().where(facts.c.visit_id == visits.c.id, facts.c.resource_type == "Media")
    has_work = has_media | exists().where(steps.c.visit_id == visits.c.id)
    held = visits.c.lease_until > clock()
    await connection.execute(
        update(visits)
        .where(visits.c.id.in_(ids))
        .values(
            revision=visits.c.revision + 1,
            next_at=case((has_work, clock()), else_=null()),
            state=case((~has_work, "done"), (held, visits.c.state), else_="waiting"),
            reason=case(
                (~has_work, "no_recording"), (visits.c.reason == "no_recording", null()), else_=visits.c.reason
            ),
            attempts=0,
            updated_at=clock(),
        )
    )
    due = await connection.execute(select(visits.c.id).where(visits.c.id.in_(ids), visits.c.next_at.is_not(None)))
    return [row[0] for row in due]


def _event_row(event: Event, delivery_id: str, visit: str) -> dict[str, Any]:
    return {
        "source": event.source, "event_id": event.id, "sha256": event.fingerprint, "delivery_id": delivery_id, "visit_id": visit,
        "resource_type": event.type, "resource_id": event.resource_id, "version": (event.version or "")[:64] or None,
        "operation": event.operation,
    }  # fmt: skip


def _fact(event: Event) -> Fact:
    version, updated = event.version, event.last_updated
    return Fact(
        event.type, event.resource_id, version[:64] if version else None, updated[:64] if updated else None, event.operation == "delete", event.resource
    )  # fmt: skip
