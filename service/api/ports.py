"""What the operations API and the commands read from the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from service.events.delivery import Delivery

Row = dict[str, Any]


class VisitRecords(Protocol):
    """Rows are JSON-ready, in camelCase, with ids, states and times and no clinical content."""

    async def list_visits(self, state: str | None, limit: int, before: datetime | None) -> list[Row]:
        """Newest change first; `before` is the `updatedAt` of the last row of the page before."""
        ...

    async def show_visit(self, visit: str) -> Row | None:
        """With `facts`, `steps` and `events`. `visit` is the visit's id or its key, such as `Encounter/123`."""
        ...

    async def retry_visit(self, visit: str) -> bool:
        """Makes a visit due at once and forgets how long it waited; False when there is none."""
        ...

    async def count_by_state(self) -> dict[str, int]: ...

    async def oldest_due(self) -> float:
        """Seconds since the oldest due visit that nobody works on became due; 0 when there is none."""
        ...


class DeadLetters(Protocol):
    """Deliveries that could not be taken in. Rows hold no body; `find` gives the whole delivery."""

    async def list_letters(self, state: str | None, limit: int, before: datetime | None) -> list[Row]: ...

    async def show_letter(self, letter: str) -> Row | None: ...

    async def find_delivery(self, letter: str) -> Delivery | None: ...

    async def settle_letter(self, letter: str, state: str) -> bool:
        """Marks an open one `replayed` or `discarded`; False when it is not open (any more)."""
        ...
