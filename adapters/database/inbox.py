"""Inbox, then ack: everything one delivery changes, in one short commit."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.database import Database
from adapters.database.facts import Claim, lock, put_fact
from adapters.database.workflow_tables import dead_letters, deliveries, events
from service.events.delivery import Delivery
from service.events.event import Event
from service.workflow.ports import Stored
from service.workflow.visit import Fact

_AT_ONCE = 50
"""Events in one commit. A Bundle may bring thousands: in one commit their locks would keep everybody else from writing
for minutes, and PostgreSQL has room for some six thousand of them."""


@dataclass(frozen=True, slots=True)
class SqlInbox:
    """Implements `service.workflow.ports.Inbox`."""

    database: Database

    async def store(self, delivery: Delivery, events_in: Sequence[Event], ehr: str) -> Stored:
        ident = str(uuid.uuid4())
        stored, conflicts, woken = 0, 0, set[str]()
        for start in range(0, len(events_in), _AT_ONCE):
            part = await self._store(None if stored else delivery, ident, events_in[start : start + _AT_ONCE], ehr)
            stored, conflicts = stored + part.stored, conflicts + part.conflicts
            woken.update(part.woken)
        return Stored(stored, len(events_in) - stored, conflicts, sorted(woken))

    async def _store(self, unkept: Delivery | None, ident: str, events_in: Sequence[Event], ehr: str) -> Stored:
        """`unkept` is the delivery, until it is kept under the name `ident` with the first of its events."""
        async with self.database.transaction() as connection:
            own = dict(
                zip(
                    map(id, events_in), await lock(connection, ehr, [_claim(event) for event in events_in]), strict=True
                )
            )
            fresh, conflicts = await _unknown(connection, events_in)
            if fresh and unkept:
                await _keep(connection, unkept, ident)
            woken = []
            new = set(map(id, fresh))
            for event in events_in:
                visit = own[id(event)]
                if id(event) in new:
                    await connection.execute(insert(events).values(_event_row(event, ident, visit)))
                if id(event) in new or event.recurs:
                    woken += await put_fact(connection, ehr, visit, _fact(event))
            return Stored(len(fresh), len(events_in) - len(fresh), conflicts, woken)

    async def store_dead(self, delivery: Delivery, reason: str, detail: str) -> str:
        sha256 = hashlib.sha256(delivery.body).hexdigest()
        row = {
            "id": str(uuid.uuid4()), "reason": reason, "detail": detail, "state": "open", "transport": delivery.transport,
            "routing_key": _stored(delivery.routing_key), "content_type": _stored(delivery.content_type), "message_id": _stored(delivery.message_id),
            "headers": {_stored(name): _stored(value) for name, value in delivery.headers.items()},
            "sha256": sha256, "body": delivery.body,
        }  # fmt: skip
        # equal bodies may be different events: routing key, content type and headers say what happened
        envelope = [row["routing_key"], row["content_type"], row["headers"]]
        async with self.database.transaction() as connection:
            known = select(
                dead_letters.c.id, dead_letters.c.routing_key, dead_letters.c.content_type, dead_letters.c.headers
            ).where(dead_letters.c.sha256 == sha256, dead_letters.c.state == "open", dead_letters.c.reason == reason)
            for ident, *found in await connection.execute(known):
                if found == envelope:
                    return str(ident)
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


async def _keep(connection: AsyncConnection, delivery: Delivery, ident: str) -> None:
    await connection.execute(
        insert(deliveries).values(
            id=ident, transport=delivery.transport, routing_key=_stored(delivery.routing_key), content_type=_stored(delivery.content_type),
            sha256=hashlib.sha256(delivery.body).hexdigest(), body=delivery.body,
        )
    )  # fmt: skip


def _claim(event: Event) -> Claim:
    """An event that brings the resource says where it belongs; a pointer, a deletion, or one that names its Encounter so
    that only the EHR can find it leaves it where it was."""
    if event.encounter:
        return event.reference, f"Encounter/{event.encounter}"
    return event.reference, None if event.resource is None or event.unresolved else event.reference


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
