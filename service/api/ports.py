"""What the operations API and the commands read from the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from service.events.delivery import Delivery
from service.workflow.visit import Visit

Row = dict[str, Any]


class VisitRecords(Protocol):
    """Rows are JSON-ready, in camelCase, with ids, states and times and no clinical content."""

    async def list_visits(
        self, state: str | None, limit: int, before: datetime | None, before_id: str | None = None
    ) -> list[Row]:
        """Newest change first. `before` is the `updatedAt` of the last row of the page before; with its `id` in
        `before_id` no other row of the same moment is missed."""
        ...

    async def show_visit(self, visit: str) -> Row | None:
        """With `facts`, `steps` and `events`. `visit` is the visit's id or its key, such as `Encounter/123`."""
        ...

    async def find_visit(self, visit: str) -> Visit | None:
        """As a run would find it, under no lease."""
        ...

    async def retry_visit(self, visit: str) -> bool:
        """Makes a visit due at once and forgets how long it waited; where it is parked as `ehr_behind`, what events claimed of
        the resource in its detail too. False when there is none."""
        ...

    async def discard_visit(self, visit: str) -> None:
        """Closes a visit that waits or is parked: `cancelled`, reason `discarded`. Raises KeyError when there is none,
        NotNow while a runner holds it, and when it is done or cancelled already."""
        ...

    async def resend_note(self, visit: str, step: str | None) -> str:
        """For a note of which nobody knows whether it was filed: it is not there, and is to be sent again. Returns its step;
        the visit is due. Raises KeyError, and NotNow where none is in doubt, or several are and none is named."""
        ...

    async def adopt_note(self, visit: str, reference: str, step: str | None) -> str:
        """As `resend_note`: it stands in the EHR under this reference."""
        ...

    async def count_by_state(self) -> dict[str, int]: ...

    async def oldest_due(self) -> float:
        """Seconds since the oldest due visit that nobody works on became due; 0 when there is none."""
        ...


class DeadLetters(Protocol):
    """Deliveries that could not be taken in. Rows hold no body; `find_delivery` gives the whole delivery."""

    async def list_letters(
        self, state: str | None, limit: int, before: datetime | None, before_id: str | None = None
    ) -> list[Row]:
        """Newest first; `before` (a `receivedAt`) and `before_id` as in `list_visits`."""
        ...

    async def show_letter(self, letter: str) -> Row | None: ...

    async def find_delivery(self, letter: str) -> Delivery | None: ...

    async def settle_letter(self, letter: str, state: str) -> bool:
        """Marks an open one `replayed` or `discarded`; False when it is not open (any more)."""
        ...
