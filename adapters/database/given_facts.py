"""Facts of the ambient API: what a caller has established about an interaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from adapters.database.ambient_tables import facts
from adapters.database.database import Database
from adapters.database.schema import values_of
from service.ambient.store import StoredFact


class SqlFacts:
    """The part of `service.ambient.store.AmbientStore` that keeps facts."""

    def __init__(self, database: Database) -> None:
        self._facts = database

    async def add_facts(self, added: Sequence[StoredFact]) -> bool:
        """All or none; False when the interaction is gone."""
        try:
            async with self._facts.transaction() as connection:
                await connection.execute(insert(facts), [values_of(fact) for fact in added])
        except IntegrityError:
            return False
        return True

    async def list_facts(self, interaction: str) -> list[StoredFact]:
        statement = select(facts).where(facts.c.interaction_id == interaction).order_by(facts.c.created_at, facts.c.id)
        async with self._facts.reading() as connection:
            return [StoredFact(**row) for row in (await connection.execute(statement)).mappings()]

    async def change_facts(
        self, interaction: str, changes: Mapping[str, Callable[[StoredFact], StoredFact]]
    ) -> list[StoredFact] | None:
        """All of these ids or, when one of them is unknown, none: None."""
        mine = (facts.c.interaction_id == interaction, facts.c.id.in_(changes))
        # in the order of their ids, so that two requests never wait for each other
        found = select(facts).where(*mine).order_by(facts.c.id).with_for_update()
        async with self._facts.transaction() as connection:
            rows = {row["id"]: StoredFact(**row) for row in (await connection.execute(found)).mappings()}
            if len(rows) < len(changes):
                return None
            changed = [change(rows[fact]) for fact, change in changes.items()]
            for fact in changed:
                await connection.execute(update(facts).where(facts.c.id == fact.id).values(values_of(fact)))
        return changed
