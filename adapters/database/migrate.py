"""Brings a database to this version's schema, by Alembic."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from service.errors import Retryable

log = structlog.get_logger()

HEAD = "0004"
"""The newest revision under `migrations/versions`; a test holds it there. Knowing it spares a start the import of Alembic."""

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 4_711_202_611
_LOCK_NOT_AVAILABLE = "55P03"
_ATTEMPTS = 12
_PATIENCE = 5.0
_IN_USE = "long transactions hold its tables: end them, then migrate again"


async def migrate(engine: AsyncEngine, attempts: int = _ATTEMPTS, patience: float = _PATIENCE) -> None:
    """Safe to run from several processes at once: PostgreSQL by an advisory lock, SQLite by its write lock.

    A change of a table waits for whoever uses that table, and whoever comes later waits behind it. So on PostgreSQL it
    waits for `patience` seconds at most, lets the others pass for as long, and tries again. Raises Retryable
    `database_unavailable` after so many attempts; nothing is changed then.
    """
    for attempt in range(1, attempts + 1):
        try:
            await _migrate(engine, patience)
            return
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            if attempt == attempts:
                raise Retryable("database_unavailable", _IN_USE) from error
        log.warning("migration_postponed", reason="tables_in_use", attempt=attempt)
        await asyncio.sleep(patience)


async def _migrate(engine: AsyncEngine, patience: float) -> None:
    async with engine.begin() as connection:
        on_postgresql = connection.dialect.name == "postgresql"
        if on_postgresql:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        revision = await connection.run_sync(current_revision)
        if revision == HEAD:
            return
        if on_postgresql:
            await connection.execute(text(f"SET LOCAL lock_timeout = '{patience * 1000:.0f}ms'"))
        if revision is None:
            await connection.run_sync(_build)
        else:
            config = await asyncio.to_thread(load_alembic)
            await connection.run_sync(upgrade, config)


def _build(connection: Connection) -> None:
    """A new database gets the tables as they are now, which a test holds equal to what the migrations lead to."""
    from adapters.database import ambient_tables, sandbox_tables, workflow_tables  # noqa: F401 - importing fills the metadata
    from adapters.database.schema import metadata

    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def current_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def load_alembic() -> Any:
    """Imports Alembic, which takes half a second: in a thread."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config


def upgrade(connection: Connection, config: Any) -> None:
    import alembic.command

    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")
