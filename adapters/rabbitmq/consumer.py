"""The consumer of `ambient.events`: a task of its own for each delivery, and a watchdog that proves deliveries flow.

What is down is subscribed again; after `PERIODS` of that, on a new connection. The client is not trusted to find back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection

from adapters.rabbitmq import topology
from adapters.rabbitmq.connection import RECONNECT_AFTER
from adapters.rabbitmq.publisher import Publisher
from adapters.rabbitmq.setbacks import Setbacks
from adapters.rabbitmq.settling import Settler
from adapters.rabbitmq.subscription import QUEUE, Subscription
from service.errors import BadConfiguration
from service.events.delivery import TakeIn
from service.settings import Broker as BrokerSettings
from service.telemetry import CONSUMER_UP
from service.workflow.ports import ConsumerDown

log = structlog.get_logger()

PERIODS = 3
HANGS_AFTER = 60.0
"""Seconds beyond `PERIODS` without a look: longer than everything that a look and its remedies wait for."""


class RabbitConsumer:
    """Prefetch bounds the deliveries in hand. `watch_every` seconds the watchdog checks, and subscribes again what is
    down: an open connection is not a consumer. `stop_within` is how long `stop` waits for deliveries in hand."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[AbstractRobustConnection]],
        publisher: Publisher,
        take_in: TakeIn,
        settings: BrokerSettings,
        *,
        watch_every: float = 30.0,
        stop_within: float = 10.0,
        audio_documents: bool = False,
    ) -> None:
        declare = partial(topology.declare, audio_documents=audio_documents) if settings.declare else None
        self.subscription = Subscription(connect, self._receive, prefetch=settings.prefetch, declare=declare)
        self._setbacks = Setbacks()
        self._settler = Settler(take_in, publisher, self._setbacks)
        self._watch_every = watch_every
        self._stop_within = stop_within
        self._watchdog: asyncio.Task[None] | None = None
        self._looked_at = self._up_at = time.monotonic()
        self._beyond_repair = False
        self._in_hand: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises BadConfiguration when no broker lets us in; else as `Subscription.open` does."""
        await self.subscription.reconnect()
        await self.subscription.open()
        CONSUMER_UP.set(1)
        self._watchdog = asyncio.create_task(self._watch())

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        """The client calls this in a task that it cancels when the connection drops; the one made here outlives it."""
        task = asyncio.create_task(self._settler.settle(message))
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def check(self) -> None:
        await self.subscription.check()

    async def alive(self) -> None:
        if self._beyond_repair:
            raise ConsumerDown(f"a new connection finds {QUEUE}, but cannot subscribe to it")
        if time.monotonic() - self._looked_at > PERIODS * self._watch_every + HANGS_AFTER:
            raise ConsumerDown("the watchdog hangs")

    async def stop(self) -> None:
        """Deliveries that need longer than `stop_within` are cancelled and given back to the queue."""
        CONSUMER_UP.set(0)
        if self._watchdog is not None:
            self._watchdog.cancel()
            await asyncio.gather(self._watchdog, return_exceptions=True)
        await self.subscription.cancel()
        self._setbacks.stop()
        await self._finish_those_in_hand()
        await self.subscription.hang_up()

    async def _finish_those_in_hand(self) -> None:
        if not self._in_hand:
            return
        _, unfinished = await asyncio.wait(self._in_hand, timeout=self._stop_within)
        for task in unfinished:
            task.cancel()
        if unfinished:
            log.warning("deliveries_given_back", queue=QUEUE, count=len(unfinished))
            await asyncio.gather(*unfinished, return_exceptions=True)

    async def _watch(self) -> None:
        pause = self._watch_every
        while True:
            await asyncio.sleep(pause)
            try:
                up = await self._is_up() or await self._subscribe_again() or await self._start_over()
            except Exception:
                up = False
                log.exception("consumer_watch_failed", queue=QUEUE)
            self._looked_at = time.monotonic()
            if up:
                self._up_at, self._beyond_repair = self._looked_at, False
            CONSUMER_UP.set(up)
            pause = self._watch_every if up else min(self._watch_every, RECONNECT_AFTER)

    async def _is_up(self) -> bool:
        try:
            await self.check()
        except ConsumerDown as down:
            log.warning("consumer_down", queue=QUEUE, detail=str(down))
            return False
        return True

    async def _subscribe_again(self) -> bool:
        """Without a connection nothing is done: the client restores the subscription together with the connection."""
        if not self.subscription.connected:
            return False
        try:
            await self.subscription.open()
        except (ConsumerDown, BadConfiguration) as still:
            log.warning("consumer_still_down", queue=QUEUE, detail=str(still))
            return False
        log.info("consumer_subscribed_again", queue=QUEUE)
        return await self._is_up()

    async def _start_over(self) -> bool:
        """Where not even that helps although the queue is there, the fault is in this process."""
        if time.monotonic() - self._up_at < PERIODS * self._watch_every:
            return False
        try:
            await self.subscription.reconnect()
            log.warning("consumer_reconnected", queue=QUEUE)
            await self.subscription.open()
        except BadConfiguration as refused:
            self._beyond_repair = False
            log.warning("consumer_still_down", queue=QUEUE, detail=str(refused))
            return False
        except ConsumerDown as down:
            self._beyond_repair = await self.subscription.answers()
            log.error("consumer_still_down", queue=QUEUE, detail=str(down))
            return False
        return await self._is_up()
