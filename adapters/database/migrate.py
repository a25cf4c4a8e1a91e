"""Brings a database to this version's schema."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import create_async_engine


def upgrade(url: str) -> None:
    """Blocking; call it in a thread."""
    from adapters.database import ambient_tables, sandbox_tables, workflow_tables  # noqa: F401 - they fill the metadata
    from adapters.database.schema import metadata

    async def run() -> None:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()

    asyncio.run(run())
