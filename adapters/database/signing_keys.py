"""The key that signs access tokens, one for all pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from adapters.database.ambient_tables import signing_keys
from adapters.database.database import Database
from adapters.database.schema import clock

_PURPOSE = "access-tokens"


class SqlSigningKeys:
    """Implements `service.api.tokens.SigningKeys`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self) -> dict[str, Any] | None:
        async with self._database.reading() as connection:
            return await connection.scalar(select(signing_keys.c.jwk).where(signing_keys.c.purpose == _PURPOSE))

    async def propose(self, jwk: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps `jwk` unless another process was first; answers the one that is kept."""
        insert = sqlite_insert if self._database.is_sqlite else postgresql_insert
        row = insert(signing_keys).values(purpose=_PURPOSE, jwk=dict(jwk), created_at=clock())
        async with self._database.transaction() as connection:
            await connection.execute(row.on_conflict_do_nothing())
        kept = await self.find()
        if kept is None:
            raise RuntimeError("the signing key vanished while it was being kept")
        return kept
