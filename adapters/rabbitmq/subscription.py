"""Our place among the consumers of `ambient.events`: a channel, its prefetch, and a consumer tag."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import aiormq
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue, AbstractRobustConnection

from adapters.rabbitmq import topology
from adapters.rabbitmq.failures import FAILURES, failures_as
from adapters.rabbitmq.throwaway import ANSWER_WITHIN, throwaway_channel
from service.workflow.ports import ConsumerDown

log = structlog.get_logger()

QUEUE = topology.EVENTS.name


class Subscription:
    """Holds its own references to channel and queue: the client keeps weak ones, and what was collected is not restored
    after a reconnection."""

    def __init__(
        self,
        connection: AbstractRobustConnection,
        receive: Callable[[AbstractIncomingMessage], Awaitable[None]],
        *,
        prefetch: int,
        declare: bool,
    ) -> None:
        self._connection = connection
        self._receive = receive
        self._prefetch = prefetch
        self._declare = declare
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._tag: str | None = None

    @property
    def connected(self) -> bool:
        return self._connection.connected.is_set()

    async def open(self) -> None:
        """On a new channel; an earlier one is closed, which gives back its unsettled deliveries.

        Raises BadConfiguration as `topology.declare` does, or ConsumerDown.
        """
        await self.close()
        try:
            with failures_as(lambda failure: ConsumerDown(f"cannot subscribe to {QUEUE}: {failure}")):
                async with asyncio.timeout(2 * ANSWER_WITHIN):
                    await self._subscribe()
        except BaseException:
            await self.close()
            raise

    async def _subscribe(self) -> None:
        self._channel = channel = self._connection.channel()
        await channel.initialize()
        await channel.set_qos(prefetch_count=self._prefetch)
        if self._declare:
            await topology.declare(channel)
        self._queue = await channel.get_queue(QUEUE)
        self._tag = await self._queue.consume(self._receive)

    async def check(self) -> None:
        """Raises ConsumerDown unless the queue answers within five seconds, has a consumer, and we are still one."""
        with failures_as(lambda failure: ConsumerDown(f"{QUEUE} does not answer: {failure}")):
            async with throwaway_channel(self._connection) as channel:
                answer = await channel.queue_declare(QUEUE, passive=True)
            ours = await self._known_to_the_client()
        if not answer.consumer_count:
            raise ConsumerDown(f"{QUEUE} has no consumer")
        if not ours:
            raise ConsumerDown(f"our consumer of {QUEUE} was cancelled")

    async def _known_to_the_client(self) -> bool:
        """The client forgets a tag that the broker cancelled."""
        if self._channel is None or self._channel.is_closed:
            return False
        return self._tag in cast(aiormq.Channel, await self._channel.get_underlay_channel()).consumers

    async def cancel(self) -> None:
        """No further delivery; those in hand can still be acknowledged."""
        queue, tag, self._tag = self._queue, self._tag, None
        if queue is None or tag is None:
            return
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await queue.cancel(tag)
        except FAILURES as failure:
            log.debug("consumer_cancel_unanswered", queue=QUEUE, reason=type(failure).__name__)

    async def close(self) -> None:
        """Gives back what is unsettled."""
        channel, self._channel, self._queue, self._tag = self._channel, None, None, None
        if channel is None:
            return
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await channel.close()
        except FAILURES as failure:
            log.debug("channel_close_unanswered", queue=QUEUE, reason=type(failure).__name__)
