"""Uploads under way: written down before their audio is kept, so that what a killed process left is found again."""

from __future__ import annotations

from sqlalchemy import delete, false, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from adapters.database.ambient_tables import recordings, uploads
from adapters.database.database import Database
from adapters.database.schema import clock, values_of
from service.ambient.store import StoredRecording


class SqlUploads:
    """The part of `service.ambient.store.AmbientStore` that turns uploads into recordings."""

    def __init__(self, database: Database) -> None:
        self._uploads = database

    async def begin_upload(self, recording: str) -> None:
        async with self._uploads.transaction() as connection:
            await connection.execute(insert(uploads).values(recording_id=recording, begun_at=clock(), given_up=False))

    async def end_upload(self, recording: str) -> None:
        async with self._uploads.transaction() as connection:
            await connection.execute(delete(uploads).where(uploads.c.recording_id == recording))

    async def add_recording(self, recording: StoredRecording) -> bool:
        """Ends its upload in the same commit. False when that was given up, or the interaction is gone."""
        under_way = (uploads.c.recording_id == recording.id, uploads.c.given_up == false())
        try:
            async with self._uploads.transaction() as connection:
                if (await connection.execute(delete(uploads).where(*under_way))).rowcount == 0:
                    return False
                await connection.execute(insert(recordings).values(values_of(recording)))
        except IntegrityError:
            return False
        return True

    async def abandoned_uploads(self, older_than: float) -> list[str]:
        """Gives up those begun more than `older_than` seconds ago, and names all that were given up."""
        old = uploads.c.begun_at < clock(-older_than)
        given_up = select(uploads.c.recording_id).where(uploads.c.given_up == true())
        async with self._uploads.transaction() as connection:
            await connection.execute(update(uploads).where(old).values(given_up=True))
            return list((await connection.scalars(given_up)).all())
