"""Our place among the consumers of `ambient.events`: a channel, its prefetch, and a consumer tag."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

import aiormq
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue, AbstractRobustConnection
from aio_pika.exceptions import ChannelInvalidStateError
from aiormq.exceptions import ChannelAccessRefused

from adapters.rabbitmq import topology
from adapters.rabbitmq.connection import hang_up
from adapters.rabbitmq.failures import FAILURES, failures_as
from adapters.rabbitmq.throwaway import ANSWER_WITHIN, throwaway_channel
from service.errors import BadConfiguration
from service.workflow.ports import ConsumerDown

log = structlog.get_logger()

QUEUE = topology.EVENTS.name


class Subscription:
    """Holds its own references to channel and queue: the client keeps weak ones, and what was collected is not restored
    after a reconnection."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[AbstractRobustConnection]],
        receive: Callable[[AbstractIncomingMessage], Awaitable[None]],
        *,
        prefetch: int,
        declare: Callable[[AbstractChannel], Awaitable[None]] | None,
    ) -> None:
        self._connect = connect
        self._receive = receive
        self._prefetch = prefetch
        self._declare = declare
        self.connection: AbstractRobustConnection | None = None
        self._channel: AbstractChannel | None = None
        self._queue: AbstractQueue | None = None
        self._tag: str | None = None

    @property
    def connected(self) -> bool:
        return self.connection is not None and self.connection.connected.is_set()

    async def reconnect(self) -> None:
        """A new connection takes the place of the one that was there. Raises BadConfiguration, and keeps the old one, when
        no broker lets us in."""
        fresh = await self._connect()
        await self.hang_up()
        self.connection = fresh

    async def open(self) -> None:
        """On a new channel; an earlier one is closed, which gives back its unsettled deliveries.

        Raises BadConfiguration as `topology.declare` does, or when we may not read the queue; else ConsumerDown.
        """
        await self.close()
        try:
            with failures_as(lambda failure: ConsumerDown(f"cannot subscribe to {QUEUE}: {failure}")):
                async with asyncio.timeout(2 * ANSWER_WITHIN):
                    await self._subscribe(self._open_connection())
        except BaseException:
            await self.close()
            raise

    async def _subscribe(self, connection: AbstractRobustConnection) -> None:
        self._channel = channel = connection.channel()
        await channel.initialize()
        await channel.set_qos(prefetch_count=self._prefetch)
        if self._declare:
            await self._declare(channel)
        self._queue = await channel.get_queue(QUEUE)
        try:
            self._tag = await self._queue.consume(self._receive)
        except ChannelAccessRefused as refusal:
            raise BadConfiguration(f"RabbitMQ refuses to let the user read: {refusal}. Grant read on {QUEUE}") from None

    async def check(self) -> None:
        """Raises ConsumerDown unless the queue answers within five seconds, has a consumer, and we are still one."""
        with failures_as(lambda failure: ConsumerDown(f"{QUEUE} does not answer: {failure}")):
            consumers = await self._count_consumers()
            ours = await self._known_to_the_client()
        if not consumers:
            raise ConsumerDown(f"{QUEUE} has no consumer")
        if not ours:
            raise ConsumerDown(f"our consumer of {QUEUE} was cancelled")

    async def answers(self) -> bool:
        """Whether the queue is there for this connection, whoever consumes it."""
        with suppress(ConsumerDown), failures_as(ConsumerDown):
            await self._count_consumers()
            return True
        return False

    async def _count_consumers(self) -> int:
        async with throwaway_channel(self._open_connection()) as channel:
            return (await channel.queue_declare(QUEUE, passive=True)).consumer_count or 0

    def _open_connection(self) -> AbstractRobustConnection:
        if self.connection is None:
            raise ChannelInvalidStateError("not connected")
        return self.connection

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

    async def hang_up(self) -> None:
        """The connection too."""
        await self.close()
        connection, self.connection = self.connection, None
        if connection is not None:
            await hang_up(connection)
