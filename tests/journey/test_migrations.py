"""The migrations give exactly the schema that the tables describe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from adapters.database import migrate
from adapters.database.ambient_store import SqlAmbientStore
from adapters.database.database import Database
from adapters.database.schema import metadata
from service.ambient.store import DuplicateIdentifier
from service.settings import read_settings
from tests.old_database import identifiers, insert_as_v0_1_0, old_database
from tests.scratch import url_of


def differences(connection: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection), metadata)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Migrated here and now."""
    async with Database.connect(read_settings(database={"url": url_of(tmp_path / "fresh.db")}).database) as database:
        await database.migrate()
        yield database


async def test_a_new_database_has_the_schema_that_the_tables_describe(database: Database) -> None:
    async with database.transaction() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_migrations_lead_to_the_same_schema(tmp_path: Path) -> None:
    settings = read_settings(database={"url": url_of(tmp_path / "old.db")})
    async with Database.connect(settings.database) as database, database.transaction() as connection:
        await connection.run_sync(migrate.upgrade, migrate.load_alembic())
        assert await connection.run_sync(differences) == []


def test_the_known_head_is_the_newest_revision() -> None:
    assert ScriptDirectory(str(Path(migrate.__file__).parent / "migrations")).get_current_head() == migrate.HEAD


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    await database.migrate()
    async with database.reading() as connection:
        assert await connection.run_sync(migrate.current_revision) == migrate.HEAD


async def test_rows_of_v0_1_0_keep_their_identifiers_where_they_are_the_only_ones(tmp_path: Path) -> None:
    settings = read_settings(database={"url": url_of(tmp_path / "old.db")})
    async with Database.connect(settings.database) as database:
        await old_database(database)
        await database.migrate()
        await insert_as_v0_1_0(database, "late", "base", "visit-1", 12)
        assert await identifiers(database) == {
            "older": "visit-1", "younger": None, "elsewhere": "visit-1", "long": None, "late": None,
        }  # fmt: skip


async def test_an_interaction_whose_identifier_v0_1_0_took_twice_can_be_changed(tmp_path: Path) -> None:
    settings = read_settings(database={"url": url_of(tmp_path / "old.db")})
    async with Database.connect(settings.database) as database:
        await old_database(database)
        await database.migrate()
        store = SqlAmbientStore(database)
        for name in ("younger", "long"):
            changed = await store.change_interaction(
                "base", name, lambda known: replace(known, encounter={**known.encounter, "status": "completed"})
            )
            assert changed
            assert changed.encounter["status"] == "completed"
        with pytest.raises(DuplicateIdentifier):
            await store.change_interaction(
                "base", "long", lambda known: replace(known, encounter={**known.encounter, "identifier": "visit-1"})
            )
