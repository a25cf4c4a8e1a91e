"""Stopping within bounds: a database, a broker or an engine that hangs must not keep the process."""

from __future__ import annotations

import asyncio
from typing import Any

_GIVEN_UP_AFTER = 3.0
"""Seconds for a cancelled task: SQLAlchemy takes two to close the connection of a statement that was cut off."""


async def ended(*tasks: asyncio.Future[Any], within: float) -> None:
    """Waits for tasks that were told to stop: a statement that is cut off costs its connection. What has not ended after
    so many seconds is cancelled; what does not even end then is left behind. How they end is not told."""
    if not tasks:
        return
    _, hanging = await asyncio.wait(tasks, timeout=within)
    for task in hanging:
        task.cancel()
    if hanging:
        await asyncio.wait(hanging, timeout=_GIVEN_UP_AFTER)
