"""What operators read: visits and dead letters as JSON-ready rows."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, and_, case, func, null, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.database import Database
from adapters.database.facts import drop_claims
from adapters.database.held_writes import decide
from adapters.database.listening import announce
from adapters.database.schema import clock, seconds_since
from adapters.database.steps import load_steps
from adapters.database.visits import load_facts, load_visit
from adapters.database.workflow_tables import dead_letters, events, visits
from service.errors import NotNow
from service.events.delivery import Delivery
from service.workflow.visit import Visit, Write

Row = dict[str, Any]

_LISTED = [column for column in dead_letters.c if column is not dead_letters.c.body]
"""Without bodies: a page of letters may be half a gigabyte."""


_AFRESH: dict[str, Any] = {
    "reason": null(), "detail": null(), "waiting_for": null(), "waiting_since": null(), "waiting_on": null(), "attempts": 0
}  # fmt: skip
"""Of a visit that no longer waits for anything."""


_UNDECIDED = ("write_unknown", "adopted_note_absent", "adopted_note_elsewhere")


@dataclass(frozen=True, slots=True)
class SqlVisitRecords:
    """Implements `service.api.ports.VisitRecords`."""

    database: Database

    async def list_visits(
        self, state: str | None, limit: int, before: datetime | None, before_id: str | None = None
    ) -> list[Row]:
        query = _page(select(visits), visits.c.updated_at, visits.c.id, before, before_id).limit(limit)
        if state:
            query = query.where(visits.c.state == state)
        async with self.database.reading() as connection:
            return [_visit_row(row) for row in (await connection.execute(query)).mappings()]

    async def show_visit(self, visit: str) -> Row | None:
        async with self.database.reading() as connection:
            row = (await connection.execute(select(visits).where(_named(visit)))).mappings().one_or_none()
            if row is None:
                return None
            return {
                **_visit_row(row),
                "facts": [
                    {"resource": f.reference, "status": f.status, "version": f.version, "deleted": f.deleted}
                    for f in await load_facts(connection, row["id"])
                ],
                "steps": [_step_row(step) for step in (await load_steps(connection, row["id"])).values()],
                "events": await _events(connection, row["id"]),
            }

    async def find_visit(self, visit: str) -> Visit | None:
        async with self.database.reading() as connection:
            ident = (await connection.execute(select(visits.c.id).where(_named(visit)))).scalar()
            return await load_visit(connection, ident) if ident else None

    async def retry_visit(self, visit: str) -> bool:
        async with self.database.transaction() as connection:
            return await _make_due(connection, visit)

    async def resend_note(self, visit: str, step: str | None) -> str:
        return await self._decide(visit, step, None)

    async def adopt_note(self, visit: str, reference: str, step: str | None) -> str:
        return await self._decide(visit, step, reference)

    async def _decide(self, visit: str, step: str | None, adopted: str | None) -> str:
        async with self.database.transaction() as connection:
            row = await _at_rest(connection, visit)
            if row.state != "parked" or row.reason not in _UNDECIDED:
                raise NotNow(f"{visit} is not parked as write_unknown: nothing is yours to decide yet")
            decided = await decide(connection, row.id, step, adopted)
            await _make_due(connection, visit)
            return decided

    async def discard_visit(self, visit: str) -> None:
        async with self.database.transaction() as connection:
            row = await _at_rest(connection, visit)
            if row.state in ("done", "cancelled"):
                raise NotNow(f"{visit} is {row.state} already: nothing is left to discard")
            await connection.execute(
                update(visits).where(visits.c.id == row.id).values(
                    **_AFRESH | {"reason": "discarded"}, state="cancelled", next_at=null(), owner=null(), lease_until=null(),
                    updated_at=clock(),
                )
            )  # fmt: skip

    async def count_by_state(self) -> dict[str, int]:
        query = select(visits.c.state, func.count()).group_by(visits.c.state)
        async with self.database.reading() as connection:
            return {row[0]: row[1] for row in await connection.execute(query)}

    async def oldest_due(self) -> float:
        async with self.database.reading() as connection:
            age = select(seconds_since(connection, func.min(visits.c.next_at)))
            due = age.where(visits.c.next_at <= clock(), ~_held())
            return max(0.0, float((await connection.execute(due)).scalar() or 0.0))


@dataclass(frozen=True, slots=True)
class SqlDeadLetters:
    """Implements `service.api.ports.DeadLetters`."""

    database: Database

    async def list_letters(
        self, state: str | None, limit: int, before: datetime | None, before_id: str | None = None
    ) -> list[Row]:
        listed = select(*_LISTED, func.length(dead_letters.c.body).label("size"))
        query = _page(listed, dead_letters.c.received_at, dead_letters.c.id, before, before_id).limit(limit)
        if state:
            query = query.where(dead_letters.c.state == state)
        async with self.database.reading() as connection:
            return [_letter_row(row) for row in (await connection.execute(query)).mappings()]

    async def show_letter(self, letter: str) -> Row | None:
        row = await self._row(letter)
        return {**_letter_row(row), "headers": dict(row["headers"]), **_readable(row["body"])} if row else None

    async def find_delivery(self, letter: str) -> Delivery | None:
        row = await self._row(letter)
        if row is None:
            return None
        return Delivery(
            row["body"], row["content_type"], row["routing_key"], row["message_id"], row["headers"], row["transport"]
        )

    async def settle_letter(self, letter: str, state: str) -> bool:
        here = (dead_letters.c.id == letter) & (dead_letters.c.state == "open")
        async with self.database.transaction() as connection:
            return (
                await connection.execute(update(dead_letters).where(here).values(state=state, settled_at=clock()))
            ).rowcount == 1

    async def _row(self, letter: str) -> RowMapping | None:
        async with self.database.reading() as connection:
            size = func.length(dead_letters.c.body).label("size")
            found = await connection.execute(select(dead_letters, size).where(dead_letters.c.id == letter))
            return found.mappings().one_or_none()


def _page(query: Select[Any], time: Any, ident: Any, before: datetime | None, before_id: str | None) -> Select[Any]:
    """Newest first, and by id where times are equal: a page may end between two of one moment."""
    if before and before_id:
        query = query.where(tuple_(time, ident) < tuple_(before, before_id, types=[time.type, ident.type]))
    elif before:
        query = query.where(time < before)
    return query.order_by(time.desc(), ident.desc())


async def _at_rest(connection: AsyncConnection, visit: str) -> Any:
    """The visit's id, state and reason, locked. Raises KeyError, and NotNow while a runner holds it."""
    known = visits.c.id, visits.c.state, visits.c.reason, _held().label("held")
    query = select(*known).where(_named(visit)).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise KeyError(visit)
    if row.held:
        raise NotNow(f"{visit} is being worked on: try again in a moment")
    return row


async def _make_due(connection: AsyncConnection, visit: str) -> bool:
    behind = select(visits.c.id, visits.c.detail).where(
        _named(visit), visits.c.state == "parked", visits.c.reason == "ehr_behind"
    )
    for row in await connection.execute(behind.order_by(visits.c.id).with_for_update()):
        await drop_claims(connection, row.id, row.detail or "")
    changed = await connection.execute(
        update(visits).where(_named(visit)).values(
            next_at=clock(), **_AFRESH, revision=visits.c.revision + 1,
            state=case((_held(), visits.c.state), else_="waiting"), updated_at=clock(),
        )
    )  # fmt: skip
    await announce(connection)
    return changed.rowcount > 0


def _held() -> ColumnElement[bool]:
    """A runner works on it, and its lease has not ended."""
    return and_(visits.c.lease_until.is_not(None), visits.c.lease_until >= clock())


def _named(visit: str) -> ColumnElement[bool]:
    return or_(visits.c.id == visit, visits.c.key == visit)


def _visit_row(row: RowMapping) -> Row:
    return {
        "id": row["id"], "key": row["key"], "state": row["state"], "reason": row["reason"], "detail": row["detail"],
        "nextAt": _iso(row["next_at"]), "attempts": row["attempts"], "createdAt": _iso(row["created_at"]), "updatedAt": _iso(row["updated_at"]),
    }  # fmt: skip


def _step_row(step: Any) -> Row:
    ended = step.finished_at
    return {
        "name": step.name, "startedAt": _iso(step.started_at), "finishedAt": _iso(ended), "attempts": step.attempts,
        "seconds": round((ended - step.started_at).total_seconds(), 3) if ended else None, "result": dict(step.result),
        "write": _write_row(step.write) if step.write else None,
    }  # fmt: skip


def _write_row(write: Write) -> Row:
    return {"state": write.state, "secondsAgo": round(write.ago, 3), **write.sent}


async def _events(connection: AsyncConnection, visit: str) -> list[Row]:
    query = select(events).where(events.c.visit_id == visit).order_by(events.c.received_at)
    return [
        {
            "source": row["source"], "id": row["event_id"], "resource": f"{row['resource_type']}/{row['resource_id']}",
            "version": row["version"], "operation": row["operation"], "receivedAt": _iso(row["received_at"]),
        }
        for row in (await connection.execute(query)).mappings()
    ]  # fmt: skip


def _letter_row(row: RowMapping) -> Row:
    return {
        "id": row["id"], "reason": row["reason"], "detail": row["detail"], "state": row["state"], "transport": row["transport"],
        "routingKey": row["routing_key"], "messageId": row["message_id"], "contentType": row["content_type"],
        "size": row["size"], "receivedAt": _iso(row["received_at"]), "settledAt": _iso(row["settled_at"]),
    }  # fmt: skip


def _readable(body: bytes) -> Row:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"bodyBase64": base64.b64encode(body).decode()}


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
