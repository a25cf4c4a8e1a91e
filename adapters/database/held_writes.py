"""What a person decides about a write to the EHR of which nobody knows whether it was carried out."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.steps import load_steps
from adapters.database.workflow_tables import steps, visits
from service.errors import NotNow
from service.workflow.visit import Step


async def decide(connection: AsyncConnection, visit: str, step: str | None, adopted: str | None) -> str:
    """The step whose write is adopted as this reference, or is to be sent again. Raises NotNow.

    `visit` is the visit's id, locked in this transaction.
    """
    doubted = _the_one(await _in_doubt(connection, visit), step)
    sent = dict(doubted.write.sent) if doubted.write else {}
    values: dict[str, Any] = {"write": "unknown", "sent": {**sent, "adopt": adopted}} if adopted else {
        "write": "planned", "sent": {name: value for name, value in sent.items() if name != "adopt"}
    }  # fmt: skip
    here = (steps.c.visit_id == visit, steps.c.name == doubted.name)
    await connection.execute(update(steps).where(*here).values(**values))
    return doubted.name


async def _in_doubt(connection: AsyncConnection, visit: str) -> list[Step]:
    await connection.execute(select(visits.c.id).where(visits.c.id == visit).with_for_update())
    known = (await load_steps(connection, visit)).values()
    return [
        one
        for one in known
        if one.write and one.write.in_doubt and not one.finished_at and one.name.startswith("filed:")
    ]


def _the_one(doubted: list[Step], step: str | None) -> Step:
    named = [one for one in doubted if step in (None, one.name)]
    if not named:
        raise NotNow("no note of it is in doubt" if step is None else f"{step} is not in doubt")
    if len(named) > 1:
        raise NotNow(f"several notes of it are in doubt, name the step: {', '.join(one.name for one in named)}")
    return named[0]
