"""Brings a database to this version's schema, by Alembic."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

HEAD = "0001"
"""The newest revision under `migrations/versions`; a test holds it there. Knowing it spares a start the import of Alembic."""

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 4_711_202_611


async def migrate(engine: AsyncEngine) -> None:
    """Safe to run from several processes at once: PostgreSQL by an advisory lock, SQLite by its write lock."""
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if await connection.run_sync(current_revision) != HEAD:
            config = await asyncio.to_thread(_config)
            await connection.run_sync(_upgrade, config)


def current_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _config() -> Any:
    """Imports Alembic, which takes half a second: in a thread."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config


def _upgrade(connection: Connection, config: Any) -> None:
    import alembic.command

    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")
