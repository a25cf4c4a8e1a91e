"""A database as v0.1.0 left it, and as its worker goes on writing to it."""

from __future__ import annotations

import alembic.command
from sqlalchemy import Connection, text

from adapters.database import migrate
from adapters.database.database import Database

_ROW = """
INSERT INTO ambient_interactions
(id, tenant, assigned_user, patient_identifier, encounter_status, encounter, patient, created_at, updated_at)
VALUES (:id, :tenant, 'u', '', 'planned', '{encounter}', '{{}}', '{at}', '{at}')
"""


async def old_database(database: Database) -> None:
    """With two interactions of one identifier in one tenant, one of another tenant, and one with a very long one."""
    async with database.transaction() as connection:
        await connection.run_sync(_upgrade_to_first)
    for name, tenant, identifier, hour in (
        ("younger", "base", "visit-1", 10),
        ("older", "base", "visit-1", 9),
        ("elsewhere", "clinic", "visit-1", 11),
        ("long", "base", "x" * 3000, 9),
    ):
        await insert_as_v0_1_0(database, name, tenant, identifier, hour)


async def insert_as_v0_1_0(database: Database, name: str, tenant: str, identifier: str, hour: int) -> None:
    encounter = f'{{"identifier": "{identifier}", "status": "planned", "type": "consultation"}}'
    at = f"2026-01-01 {hour:02}:00:00.000000"
    async with database.transaction() as connection:
        await connection.execute(
            text(_ROW.format(encounter=encounter.replace(":", "\\:"), at=at.replace(":", "\\:"))),
            {"id": name, "tenant": tenant},
        )


async def identifiers(database: Database) -> dict[str, str | None]:
    """The searchable identifier of each interaction."""
    async with database.reading() as connection:
        rows = await connection.execute(text("SELECT id, encounter_identifier FROM ambient_interactions"))
        return {row.id: row.encounter_identifier for row in rows}


def _upgrade_to_first(connection: Connection) -> None:
    config = migrate.load_alembic()
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "0001")
