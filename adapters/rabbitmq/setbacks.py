"""How long to wait after a delivery could not be taken in, and whether the fault is the delivery's or everybody's."""

from __future__ import annotations

import asyncio

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0


class Setbacks:
    """Shared by all deliveries of one consumer. A pause is as long as nothing has succeeded so far, so that it doubles
    during a database outage; the first success ends it for all, once each has waited `first_pause`."""

    def __init__(self, first_pause: float = FIRST_PAUSE, longest_pause: float = LONGEST_PAUSE) -> None:
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._failing_since: float | None = None
        self._successes = 0
        self._relief = asyncio.Event()
        self._stopping = asyncio.Event()

    def succeeded(self) -> None:
        self._failing_since = None
        self._successes += 1
        self._relief.set()

    async def pause(self) -> bool:
        """Waits, and says whether it looks like an outage: nothing else was taken in meanwhile. Ends early, with False,
        when the consumer stops."""
        now, before = asyncio.get_running_loop().time(), self._successes
        if self._failing_since is None:
            self._failing_since = now
        failing_for = min(now - self._failing_since, self._longest_pause)
        self._relief.clear()
        await _wait(self._stopping, self._first_pause)
        if self._successes == before:
            await _wait(self._relief, failing_for - self._first_pause)
        return self._successes == before and not self._stopping.is_set()

    def stop(self) -> None:
        self._stopping.set()
        self._relief.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """At most so long; not at all when there is no time left."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    except TimeoutError:
        return
