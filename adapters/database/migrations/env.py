"""Runs by `adapters.database.migrate` alone, which hands over an open connection."""

from __future__ import annotations

from alembic import context

from adapters.database import ambient_tables, sandbox_tables, workflow_tables
from adapters.database.schema import metadata

TABLES = (ambient_tables, sandbox_tables, workflow_tables)  # importing them fills the metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
