"""The embedded broker: RabbitMQ's promises inside one process, for `memory://`.

Nothing waits in a queue here. A publish hands its delivery to the consumer and returns once that was taken in, so that
what was accepted is in the database. Dead letters have no second copy: the database holds them whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import structlog

from service.events.delivery import Delivery, TakeIn
from service.settings import Broker as BrokerSettings
from service.telemetry import CONSUMER_UP, PUBLISHER_UP
from service.workflow.canary import ROUTING_KEY
from service.workflow.ports import ConsumerDown, PublishFailed, PublishRefused

log = structlog.get_logger()

STOP_WITHIN = 10.0


class InMemoryBroker:
    """`attempts` at taking a delivery in, with a pause that doubles from `pause` seconds."""

    BOUND_TO: ClassVar[tuple[str, ...]] = (
        "fhir.Media.#",
        "fhir.Encounter.#",
        ROUTING_KEY,
    )  # the bindings of `ambient.events` in RabbitMQ
    AUDIO_DOCUMENTS = "fhir.DocumentReference.#"

    def __init__(self, settings: BrokerSettings, attempts: int, pause: float, audio_documents: bool = False) -> None:
        self._also_bound_to = (self.AUDIO_DOCUMENTS,) if audio_documents else ()
        self._prefetch = settings.prefetch
        self._attempts = attempts
        self._pause = pause
        self._consumer: InMemoryConsumer | None = None

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, settings: BrokerSettings, *, attempts: int = 4, pause: float = 0.5, audio_documents: bool = False
    ) -> AsyncIterator[InMemoryBroker]:
        PUBLISHER_UP.set(1)
        yield cls(settings, attempts, pause, audio_documents)

    async def publish(
        self, body: bytes, *, routing_key: str, content_type: str, message_id: str, headers: Mapping[str, str]
    ) -> None:
        """Returns once the delivery was taken in. Raises PublishRefused when no binding matches, PublishFailed
        when no consumer runs or every attempt failed: the caller still has the event."""
        if not any(_matches(binding, routing_key) for binding in (*self.BOUND_TO, *self._also_bound_to)):
            raise PublishRefused("fhir.events: no queue is bound to this routing key")
        if self._consumer is None:
            raise PublishFailed("fhir.events: no consumer is running")
        await self._consumer.hand_over(Delivery(body, content_type, routing_key, message_id, dict(headers), "memory"))

    async def lacks(self) -> list[str]:
        return []

    @asynccontextmanager
    async def consume(self, take_in: TakeIn) -> AsyncIterator[InMemoryConsumer]:
        """One consumer at a time: a process has one worker."""
        if self._consumer is not None:
            raise ConsumerDown("the embedded broker already has its consumer")
        self._consumer = consumer = InMemoryConsumer(take_in, self._prefetch, self._attempts, self._pause)
        CONSUMER_UP.set(1)
        try:
            yield consumer
        finally:
            self._consumer = None
            await consumer.stop()


class InMemoryConsumer:
    def __init__(self, take_in: TakeIn, prefetch: int, attempts: int, pause: float) -> None:
        self._take_in = take_in
        self._attempts = attempts
        self._pause = pause
        self._free = asyncio.Semaphore(prefetch)
        self._in_hand: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    async def hand_over(self, delivery: Delivery) -> None:
        """A publisher that goes away meanwhile does not take its delivery with it."""
        if self._stopping.is_set():
            raise PublishFailed("fhir.events: the consumer has stopped")
        task = asyncio.create_task(self._settle(delivery))
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)
        await asyncio.wait([task])
        if task.cancelled():
            raise PublishFailed("ambient.events: the consumer stopped before the delivery was taken in")
        task.result()

    async def _settle(self, delivery: Delivery) -> None:
        async with self._free:
            for attempt in range(self._attempts):
                try:
                    await self._take_in(delivery)
                except Exception:
                    log.warning(
                        "delivery_not_taken_in", delivery=delivery.message_id, attempt=attempt + 1, exc_info=True
                    )
                else:
                    return
                if attempt + 1 == self._attempts or await self._stopped_within(self._pause * 2**attempt):
                    break
        raise PublishFailed("ambient.events: the delivery could not be taken in")

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def check(self) -> None:
        if self._stopping.is_set():
            raise ConsumerDown("the consumer has stopped")

    async def alive(self) -> None:
        """A part of the process that cannot fail alone."""

    async def stop(self) -> None:
        """Those that need longer than `STOP_WITHIN` fail for their publishers."""
        CONSUMER_UP.set(0)
        self._stopping.set()
        if self._in_hand:
            _, unfinished = await asyncio.wait(self._in_hand, timeout=STOP_WITHIN)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)


def _matches(binding: str, routing_key: str) -> bool:
    """A topic binding without wildcards, or one that ends in `#`: its words, then any words or none."""
    words = binding.removesuffix(".#")
    return routing_key == words or (words != binding and routing_key.startswith(f"{words}."))
