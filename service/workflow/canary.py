"""A canary through the real queue: only what was published and came out of it again shows that deliveries flow.

Processes share the queue, so any of them may take any canary; the database tells the one that sent it. Where none can
be published from the start, in RabbitMQ by hand without the binding or the permission, only the consumer's watchdog
shows that it works.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from service.events.delivery import Delivery, TakeIn, Taken
from service.telemetry import CANARY_SECONDS, EVENTS_IGNORED
from service.workflow.ports import Broker, Canaries, PublishRefused

log = structlog.get_logger()

ROUTING_KEY = "ambient.canary"
HEADER = "x-ambient-canary"
BODY = b'{"resourceType":"Basic"}'
"""A resource that is not read: a version that knows no canaries ignores it."""

EVERY = 30.0
AGAIN = 2.0
"""Seconds until the next attempt when none came back, doubling up to EVERY; and the longest between two looks."""

PATIENCE = 95.0
"""Seconds that the last sign of life may be old: three canaries and a little."""

_FIRST_LOOK = 0.05
_STOP_WITHIN = 1.0
_NAME = re.compile(r"[\w.:-]{1,64}", re.ASCII)

UNNOTED = Taken("ignored", "canary_not_noted")
"""A canary is not worth holding for a database that is away; that it is settled is no sign that the database is there."""


class CanaryMissing(Exception):
    """Nothing came out of the queue for too long."""


class Canary:
    """`every`, `again` and `patience` are in seconds; see EVERY, AGAIN and PATIENCE."""

    def __init__(
        self,
        broker: Broker,
        canaries: Canaries,
        every: float = EVERY,
        again: float = AGAIN,
        patience: float = PATIENCE,
    ) -> None:
        host = re.sub(r"[^\w.-]", "_", socket.gethostname()[:40], flags=re.ASCII)
        self.name = f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
        self._broker = broker
        self._canaries = canaries
        self._every, self._again, self._patience = every, again, patience
        self._sign_of_life: float | None = None
        self._sent: float | None = None
        self._accepted = self._dispensed_with = False
        self._stopping = asyncio.Event()

    async def check(self) -> None:
        """Raises CanaryMissing unless a canary of ours, or anything at all in this process, came out of the queue of late."""
        if self._dispensed_with:
            return
        if self._sign_of_life is None or time.monotonic() - self._sign_of_life > self._patience:
            raise CanaryMissing

    def before(self, take_in: TakeIn) -> TakeIn:
        """`take_in` for everything but canaries. What a long queue brings is a sign of life, while ours waits in it."""

        async def take(delivery: Delivery) -> Taken:
            name = name_in(delivery)
            if name is None:
                taken = await take_in(delivery)
                self._sign_of_life = time.monotonic()
                return taken
            EVENTS_IGNORED.labels("canary").inc()
            try:
                await self._canaries.note(name)
            except Exception as error:
                log.warning("canary_not_noted", error=error)
                return UNNOTED
            return Taken("ignored", "canary")

        return take

    @asynccontextmanager
    async def flying(self) -> AsyncIterator[None]:
        """Sends canaries until left. Told to stop rather than cancelled, unless something hangs: a statement that is cut
        off leaves its connection in doubt."""
        task = asyncio.create_task(self._fly())
        try:
            yield
        finally:
            self._stopping.set()
            await asyncio.wait([task], timeout=_STOP_WITHIN)
            task.cancel()
            await asyncio.wait([task], timeout=_STOP_WITHIN)

    async def _fly(self) -> None:
        pause, failed = self._again, False
        while not self._stopping.is_set():
            try:
                came_back = await self._fly_once(pause)
            except Exception as error:
                if not failed and not self._dispensed_with:
                    log.warning("canary_failed", error=error)
                came_back, failed = False, True
                await self._wait(self._every if self._dispensed_with else pause)
            else:
                failed = False
            pause = self._again if came_back else min(2 * pause, self._every)

    async def _fly_once(self, pause: float) -> bool:
        """Whether it came back, after `every` seconds; or it did not, after `pause`. Where the database could not be asked
        about the last one, that is asked again: another would only lengthen the queue."""
        if self._sent is None:
            sent = time.monotonic()
            await self._send()
            self._sent = sent
        took = await self._seconds_until_back(self._sent, pause)
        self._sent = None
        if took is None:
            return False
        CANARY_SECONDS.set(took)
        await self._wait(self._every - took)
        return True

    async def _send(self) -> None:
        """Where none was ever accepted there is to be none: that is said once, and tried again in case it is mended."""
        try:
            await send(self._broker, self.name)
        except PublishRefused as refused:
            if not self._accepted and not self._dispensed_with:
                self._dispensed_with = True
                log.warning("canary_not_bound", routing_key=ROUTING_KEY, detail=str(refused))
            raise
        self._accepted = True
        if self._dispensed_with:  # its patience begins now
            self._dispensed_with, self._sign_of_life = False, time.monotonic()

    async def _seconds_until_back(self, sent: float, within: float) -> float | None:
        """Looks at least once."""
        look = _FIRST_LOOK
        while True:
            age = await self._canaries.age(self.name)
            came_back = time.monotonic() - (age or 0.0)
            if age is not None and came_back >= sent:
                self._sign_of_life = came_back
                return came_back - sent
            if time.monotonic() - sent > within or self._stopping.is_set():
                return None
            await self._wait(look)
            look = min(2 * look, self._again)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._stopping.wait()


async def send(broker: Broker, name: str) -> None:
    """Raises PublishFailed, or PublishRefused where no canary can ever fly."""
    await broker.publish(
        BODY,
        routing_key=ROUTING_KEY,
        content_type="application/fhir+json",
        message_id=f"canary:{name}",
        headers={HEADER: name},
    )


def name_in(delivery: Delivery) -> str | None:
    """None for whatever is not a canary through and through: no event may be lost for a header."""
    name = delivery.headers.get(HEADER)
    if name is None or delivery.body != BODY or not _NAME.fullmatch(name):
        return None
    return name
