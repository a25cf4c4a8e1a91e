"""Transcripts waiting for a recogniser: leased rows on the database's clock, every write fenced by the claim's owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.engine import RowMapping

from adapters.database.ambient_tables import transcripts
from adapters.database.database import Database
from adapters.database.schema import clock, values_of
from service.ambient.ports import Segment
from service.ambient.store import Claim, StoredTranscript

_DUE = or_(
    transcripts.c.status == "queued",
    and_(transcripts.c.status == "processing", transcripts.c.lease_until < clock()),
)
_NEXT = select(transcripts).where(_DUE).order_by(transcripts.c.created_at, transcripts.c.id).limit(1)
_FREE = {"owner": None, "lease_until": None}


class SqlTranscriptQueue:
    """Implements `service.ambient.ports.TranscriptQueue`."""

    def __init__(self, database: Database) -> None:
        self._queue = database

    async def claim_transcript(self, owner: str, lease_seconds: float) -> Claim | None:
        """Looks without a lock first: an idle poll must not take SQLite's write lock."""
        async with self._queue.reading() as connection:
            if (await connection.execute(_NEXT)).first() is None:
                return None
        async with self._queue.transaction() as connection:
            row = (await connection.execute(_NEXT.with_for_update(skip_locked=True))).mappings().first()
            if row is None:
                return None
            attempt = row["attempt"] + 1
            await connection.execute(
                update(transcripts)
                .where(transcripts.c.id == row["id"])
                .values(status="processing", owner=owner, lease_until=clock(lease_seconds), attempt=attempt)
            )
        return Claim(from_row(row), owner, attempt)

    async def keep_transcript(self, claim: Claim, progress: float, lease_seconds: float) -> bool:
        return await self._write(claim, progress=progress, lease_until=clock(lease_seconds))

    async def release_transcript(self, claim: Claim) -> None:
        await self._write(claim, status="queued", attempt=claim.attempt - 1, **_FREE)

    async def release_all_transcripts(self) -> None:
        """The attempts stay counted: one of them may be what killed the process."""
        claimed = transcripts.c.status == "processing"
        async with self._queue.transaction() as connection:
            await connection.execute(update(transcripts).where(claimed).values(status="queued", **_FREE))

    async def complete_transcript(self, claim: Claim, segments: Sequence[Segment]) -> bool:
        spoken = [asdict(segment) for segment in segments]
        return await self._write(claim, status="completed", progress=1.0, segments=spoken, **_FREE)

    async def fail_transcript(self, claim: Claim, reason: str) -> bool:
        return await self._write(claim, status="failed", reason=reason, **_FREE)

    async def _write(self, claim: Claim, **values: Any) -> bool:
        async with self._queue.transaction() as connection:
            done = await connection.execute(update(transcripts).where(*_held(claim)).values(**values))
        return done.rowcount == 1


def _held(claim: Claim) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return transcripts.c.id == claim.transcript.id, transcripts.c.owner == claim.owner


def row_of(transcript: StoredTranscript) -> dict[str, Any]:
    return {
        **values_of(transcript),
        "participants": None if transcript.participants is None else list(transcript.participants),
        "segments": [asdict(segment) for segment in transcript.segments],
    }


def from_row(row: RowMapping) -> StoredTranscript:
    values = {name: row[name] for name in StoredTranscript.__slots__}
    values["participants"] = None if row["participants"] is None else tuple(row["participants"])
    values["segments"] = tuple(Segment(**segment) for segment in row["segments"])
    return StoredTranscript(**values)
