"""What the tests of the broker share: an intake that can be held or made to fail, and a way to publish."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from adapters.rabbitmq.broker import RabbitBroker
from service.events.delivery import Delivery, Taken
from service.settings import Broker
from service.workflow.ports import ConsumerDown, PublishFailed

EVENTS, DEAD = "ambient.events", "ambient.events.dead"
MEDIA = "fhir.Media.create"


class Intake:
    """Takes in what comes, after `failures` exceptions, and only while `gate` is open."""

    def __init__(self, taken: Taken | None = None, failures: int = 0) -> None:
        self.taken, self.failures = taken or Taken("stored"), failures
        self.begun: asyncio.Queue[Delivery] = asyncio.Queue()
        self.seen: list[Delivery] = []
        self.news = asyncio.Event()
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, delivery: Delivery) -> Taken:
        self.begun.put_nowait(delivery)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is away")
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.seen.append(delivery)
        self.news.set()
        return self.taken

    async def wait_for(self, bodies: set[bytes], timeout: float = 20) -> None:
        async with asyncio.timeout(timeout):
            while {delivery.body for delivery in self.seen} != bodies:
                self.news.clear()
                await self.news.wait()


def connect(url: str, watch_every: float = 30, **more: Any) -> AbstractAsyncContextManager[RabbitBroker]:
    return RabbitBroker.connect(Broker(url=url, **more), watch_every=watch_every)


async def send(broker: RabbitBroker, body: bytes = b"{}", routing_key: str = MEDIA) -> None:
    await broker.publish(
        body,
        routing_key=routing_key,
        content_type="application/fhir+json",
        message_id=body.decode(),
        headers={"a": "b"},
    )


async def eventually(check: Callable[[], Awaitable[None]], timeout: float = 15) -> None:
    """Until the consumer's check, or a publish, passes."""
    async with asyncio.timeout(timeout):
        while True:
            try:
                return await check()
            except (ConsumerDown, PublishFailed):
                await asyncio.sleep(0.1)
