"""Brings a database to this version's schema, by Alembic."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

HEAD = "0002"
"""The newest revision under `migrations/versions`; a test holds it there. Knowing it spares a start the import of Alembic."""

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 4_711_202_611


async def migrate(engine: AsyncEngine) -> None:
    """Safe to run from several processes at once: PostgreSQL by an advisory lock, SQLite by its write lock."""
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        revision = await connection.run_sync(current_revision)
        if revision is None:
            await connection.run_sync(_build)
        elif revision != HEAD:
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
