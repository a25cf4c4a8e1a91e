"""The sandbox EHR's resources in the database.

All writes of one resource type go one after another, in every process: SQLite has one writer anyway, PostgreSQL takes
an advisory lock per type until the commit. That makes the look and the write of a conditional create one step, and two
updates of one version never both succeed. A toy EHR can afford it.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Row, Select, cast, delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.database import Database
from adapters.database.sandbox_tables import sandbox_resources as resources
from adapters.database.sandbox_tables import sandbox_tokens as tokens
from adapters.database.sandbox_tables import sandbox_versions as versions
from service.sandbox.ports import Criterion, Draft, NotSelective, Page, StaleVersion, Stored, Token, Written


class SqlSandboxStore:
    """Implements `service.sandbox.ports.SandboxStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, resource_type: str, resource_id: str, version: int | None = None) -> Stored | None:
        wanted = resources.c.version if version is None else version
        query = _versions(resource_type, wanted).where(resources.c.id == resource_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return _stored(row) if row else None

    async def create(self, draft: Draft, unless: Sequence[Criterion] = ()) -> Written:
        async with self._writing(draft.type) as connection:
            if unless:
                query = _matching(draft.type, unless).limit(2)
                found = (await connection.execute(query)).all()
                if len(found) > 1:
                    raise NotSelective
                if found:
                    return Written(_stored(found[0]), created=False)
            return Written(await _insert(connection, draft), created=True)

    async def update(self, draft: Draft, if_match: int | None) -> Written:
        async with self._writing(draft.type) as connection:
            current = await _current(connection, draft.type, draft.id)
            _require_version(current, if_match)
            if current is None:
                return Written(await _insert(connection, draft), created=True)
            stored = await _add_version(connection, draft, current.number, current.version + 1)
            return Written(stored, created=current.deleted)

    async def delete(self, resource_type: str, resource_id: str, if_match: int | None) -> Sequence[str]:
        async with self._writing(resource_type) as connection:
            current = await _current(connection, resource_type, resource_id)
            _require_version(current, if_match)
            if current is None or current.deleted:
                return []
            await _add_deletion(connection, current.number, current.version + 1)
            held = select(versions.c.blob).where(versions.c.number == current.number, versions.c.blob.is_not(None))
            return (await connection.scalars(held)).all()

    async def search(self, resource_type: str, criteria: Sequence[Criterion], after: int, count: int) -> Page:
        matching = _matching(resource_type, criteria)
        counting = matching.with_only_columns(func.count()).order_by(None)
        page = matching.where(resources.c.number > after).limit(count + 1)
        async with self._database.reading() as connection:
            total = (await connection.execute(counting)).scalar_one()
            rows = (await connection.execute(page)).all() if count else []
        shown = rows[:count]
        return Page(total, [_stored(row) for row in shown], shown[-1].number if len(rows) > count else None)

    @asynccontextmanager
    async def _writing(self, resource_type: str) -> AsyncIterator[AsyncConnection]:
        async with self._database.transaction() as connection:
            if not self._database.is_sqlite:
                key = zlib.crc32(f"sandbox/{resource_type}".encode())
                await connection.execute(select(func.pg_advisory_xact_lock(cast(key, BigInteger))))
            yield connection


def _versions(resource_type: str, version: Any) -> Select[Any]:
    joined = resources.join(versions, versions.c.number == resources.c.number)
    columns = (resources.c.number, resources.c.type, resources.c.id, versions.c.version, versions.c.last_updated,
               versions.c.body, versions.c.blob, versions.c.size)  # fmt: skip
    return (
        select(*columns)
        .select_from(joined)
        .where(resources.c.type == resource_type, versions.c.version == version)
        .order_by(resources.c.number)
    )


def _matching(resource_type: str, criteria: Iterable[Criterion]) -> Select[Any]:
    query = _versions(resource_type, resources.c.version).where(resources.c.deleted.is_(False))
    for criterion in criteria:
        wanted = [_digest(resource_type, token) for token in criterion.any_of]
        query = query.where(exists().where(tokens.c.number == resources.c.number, tokens.c.digest.in_(wanted)))
    return query


def _digest(resource_type: str, token: Token) -> bytes:
    return hashlib.sha256(f"{resource_type}\n{token.parameter}\n{token.text}".encode()).digest()


def _stored(row: Row[Any]) -> Stored:
    return Stored(row.type, row.id, row.version, row.last_updated, row.body, row.blob, row.size)


async def _current(connection: AsyncConnection, resource_type: str, resource_id: str) -> Row[Any] | None:
    query = select(resources).where(resources.c.type == resource_type, resources.c.id == resource_id)
    return (await connection.execute(query)).one_or_none()


def _require_version(current: Row[Any] | None, if_match: int | None) -> None:
    if if_match is not None and (current is None or current.deleted or current.version != if_match):
        raise StaleVersion


async def _insert(connection: AsyncConnection, draft: Draft) -> Stored:
    row = {"type": draft.type, "id": draft.id, "version": 0, "deleted": False}
    number = (await connection.execute(insert(resources).values(row).returning(resources.c.number))).scalar_one()
    return await _add_version(connection, draft, number, 1)


async def _add_version(connection: AsyncConnection, draft: Draft, number: int, version: int) -> Stored:
    now = _now()
    stored = Stored(draft.type, draft.id, version, now, draft.render(version, now), draft.blob, draft.size)
    await _turn(connection, number, version, deleted=False)
    row = {"body": stored.body, "blob": draft.blob, "size": draft.size}
    await connection.execute(insert(versions).values(number=number, version=version, last_updated=now, **row))
    found_by = [{"number": number, "digest": _digest(draft.type, token)} for token in draft.tokens]
    await connection.execute(insert(tokens), found_by)
    return stored


async def _add_deletion(connection: AsyncConnection, number: int, version: int) -> None:
    await _turn(connection, number, version, deleted=True)
    await connection.execute(insert(versions).values(number=number, version=version, last_updated=_now()))


async def _turn(connection: AsyncConnection, number: int, version: int, *, deleted: bool) -> None:
    """Points the resource at its new version; what it could be found by no longer holds."""
    changed = {"version": version, "deleted": deleted}
    await connection.execute(update(resources).where(resources.c.number == number).values(changed))
    await connection.execute(delete(tokens).where(tokens.c.number == number))


def _now() -> datetime:
    """In whole milliseconds, as `meta.lastUpdated` shows it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
