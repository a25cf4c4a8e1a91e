"""Interactions, recordings, transcripts and documents of the ambient API in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, delete, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from adapters.database.ambient_tables import documents, interactions, recordings, transcripts
from adapters.database.database import Database
from adapters.database.given_facts import SqlFacts
from adapters.database.schema import values_of
from adapters.database.transcript_queue import SqlTranscriptQueue, from_row, row_of
from adapters.database.uploads import SqlUploads
from service.ambient.store import (
    DuplicateIdentifier,
    Interaction,
    InteractionQuery,
    StoredDocument,
    StoredRecording,
    StoredTranscript,
)

_SORTED_BY: Mapping[str, Column[Any]] = {
    "id": interactions.c.id,
    "assignedUserId": interactions.c.assigned_user,
    "patient": interactions.c.patient_identifier,
    "createdAt": interactions.c.created_at,
    "endedAt": interactions.c.ended_at,
    "updatedAt": interactions.c.updated_at,
}


class SqlAmbientStore(SqlTranscriptQueue, SqlFacts, SqlUploads):
    """Implements `service.ambient.store.AmbientStore`."""

    def __init__(self, database: Database) -> None:
        SqlTranscriptQueue.__init__(self, database)
        SqlFacts.__init__(self, database)
        SqlUploads.__init__(self, database)
        self._database = database

    async def add_interaction(self, interaction: Interaction) -> None:
        try:
            async with self._database.transaction() as connection:
                await connection.execute(insert(interactions).values(_interaction_row(interaction)))
        except IntegrityError:
            raise DuplicateIdentifier from None

    async def change_interaction(
        self, tenant: str, interaction: str, change: Callable[[Interaction], Interaction]
    ) -> Interaction | None:
        mine = (interactions.c.tenant == tenant, interactions.c.id == interaction)
        found = select(*_columns(interactions, Interaction)).where(*mine).with_for_update()
        try:
            async with self._database.transaction() as connection:
                row = (await connection.execute(found)).mappings().first()
                if row is None:
                    return None
                before = Interaction(**row)
                changed = change(before)
                values = _interaction_row(changed)
                if changed.encounter["identifier"] == before.encounter["identifier"]:
                    del values["encounter_identifier"]  # one that v0.1.0 took twice may stay
                await connection.execute(update(interactions).where(*mine).values(values))
        except IntegrityError:
            raise DuplicateIdentifier from None
        return changed

    async def list_interactions(self, tenant: str, query: InteractionQuery) -> list[Interaction]:
        column = _SORTED_BY[query.sort]
        statement = (
            select(*_columns(interactions, Interaction))
            .where(interactions.c.tenant == tenant, *_filters(query))
            .order_by((column.desc() if query.descending else column.asc()).nulls_last(), interactions.c.id)
            .limit(query.page_size)
            .offset((query.page - 1) * query.page_size)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [Interaction(**row) for row in rows]

    async def get_interaction(self, tenant: str, interaction: str) -> Interaction | None:
        mine = (interactions.c.tenant == tenant, interactions.c.id == interaction)
        row = await self._first(interactions, Interaction, *mine)
        return Interaction(**row) if row else None

    async def delete_interaction(self, tenant: str, interaction: str) -> list[str] | None:
        mine = (interactions.c.tenant == tenant, interactions.c.id == interaction)
        async with self._database.transaction() as connection:
            locked = await connection.scalar(select(interactions.c.id).where(*mine).with_for_update())
            if locked is None:
                return None
            went = await connection.scalars(select(recordings.c.id).where(recordings.c.interaction_id == interaction))
            ids = list(went.all())
            await connection.execute(delete(interactions).where(*mine))
        return ids

    async def list_recordings(self, interaction: str) -> list[str]:
        statement = (
            select(recordings.c.id)
            .where(recordings.c.interaction_id == interaction)
            .order_by(recordings.c.created_at, recordings.c.id)
        )
        async with self._database.reading() as connection:
            return list((await connection.scalars(statement)).all())

    async def get_recording(self, interaction: str, recording: str) -> StoredRecording | None:
        row = await self._first(recordings, StoredRecording, *_of(recordings, interaction, recording))
        return StoredRecording(**row) if row else None

    async def delete_recording(self, interaction: str, recording: str) -> bool:
        return await self._delete(recordings, interaction, recording)

    async def add_transcript(self, transcript: StoredTranscript) -> bool:
        return await self._add(transcripts, row_of(transcript))

    async def list_transcripts(self, interaction: str) -> list[StoredTranscript]:
        return [from_row(row) for row in await self._all(transcripts, StoredTranscript, interaction)]

    async def get_transcript(self, interaction: str, transcript: str) -> StoredTranscript | None:
        row = await self._first(transcripts, StoredTranscript, *_of(transcripts, interaction, transcript))
        return from_row(row) if row else None

    async def delete_transcript(self, interaction: str, transcript: str) -> bool:
        return await self._delete(transcripts, interaction, transcript)

    async def add_document(self, document: StoredDocument) -> bool:
        return await self._add(documents, values_of(document))

    async def list_documents(self, interaction: str) -> list[StoredDocument]:
        return [_document(row) for row in await self._all(documents, StoredDocument, interaction)]

    async def get_document(self, interaction: str, document: str) -> StoredDocument | None:
        row = await self._first(documents, StoredDocument, *_of(documents, interaction, document))
        return _document(row) if row else None

    async def change_document(
        self, interaction: str, document: str, change: Callable[[StoredDocument], StoredDocument]
    ) -> StoredDocument | None:
        mine = _of(documents, interaction, document)
        found = select(*_columns(documents, StoredDocument)).where(*mine).with_for_update()
        async with self._database.transaction() as connection:
            row = (await connection.execute(found)).mappings().first()
            if row is None:
                return None
            changed = change(_document(row))
            await connection.execute(update(documents).where(*mine).values(values_of(changed)))
        return changed

    async def delete_document(self, interaction: str, document: str) -> bool:
        return await self._delete(documents, interaction, document)

    async def _add(self, table: Table, row: Mapping[str, Any]) -> bool:
        """False when the interaction that the row belongs to is gone."""
        try:
            async with self._database.transaction() as connection:
                await connection.execute(insert(table).values(row))
        except IntegrityError:
            return False
        return True

    async def _first(self, table: Table, shape: type, *where: ColumnElement[bool]) -> RowMapping | None:
        async with self._database.reading() as connection:
            return (await connection.execute(select(*_columns(table, shape)).where(*where))).mappings().first()

    async def _all(self, table: Table, shape: type, interaction: str) -> list[RowMapping]:
        """Oldest first."""
        statement = (
            select(*_columns(table, shape))
            .where(table.c.interaction_id == interaction)
            .order_by(table.c.created_at, table.c.id)
        )
        async with self._database.reading() as connection:
            return list((await connection.execute(statement)).mappings().all())

    async def _delete(self, table: Table, interaction: str, item: str) -> bool:
        async with self._database.transaction() as connection:
            done = await connection.execute(delete(table).where(*_of(table, interaction, item)))
        return done.rowcount == 1


def _interaction_row(interaction: Interaction) -> dict[str, Any]:
    """With the columns that are there to be searched."""
    return values_of(interaction) | {
        "patient_identifier": interaction.patient.get("identifier", ""),
        "encounter_status": interaction.encounter["status"],
        "encounter_identifier": interaction.encounter["identifier"],
    }


def _columns(table: Table, shape: type) -> list[Column[Any]]:
    return [table.c[name] for name in shape.__slots__]  # type: ignore[attr-defined]


def _of(table: Table, interaction: str, item: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.interaction_id == interaction, table.c.id == item


def _filters(query: InteractionQuery) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if query.patient is not None:
        filters.append(interactions.c.patient_identifier == query.patient)
    if query.statuses:
        filters.append(interactions.c.encounter_status.in_(query.statuses))
    return filters


def _document(row: RowMapping) -> StoredDocument:
    return StoredDocument(**{**row, "sections": tuple(row["sections"])})
