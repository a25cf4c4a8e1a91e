"""What an operator sees and does in a vhost, with a connection of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage


class Operator:
    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str) -> AsyncIterator[Operator]:
        async with await aio_pika.connect(url) as connection, connection.channel(on_return_raises=True) as channel:
            yield cls(channel)

    async def depth(self, queue: str) -> int:
        """Deliveries that are ready, those in a consumer's hands not among them."""
        seen = await self._channel.declare_queue(queue, passive=True)
        return seen.declaration_result.message_count or 0

    async def wait_for_depth(self, queue: str, wanted: int, timeout: float = 10) -> None:
        async with asyncio.timeout(timeout):
            while await self.depth(queue) != wanted:  # noqa: ASYNC110 - the broker has nothing to wait on
                await asyncio.sleep(0.05)

    async def take(self, queue: str) -> AbstractIncomingMessage:
        """The next delivery of the queue, acknowledged."""
        source = await self._channel.get_queue(queue, ensure=False)
        message = await source.get()
        await message.ack()
        return message

    async def give_back(self, queue: str) -> None:
        """The next delivery, once there is one, to the queue that it came from: a failure that the broker counts."""
        source = await self._channel.get_queue(queue, ensure=False)
        while (message := await source.get(fail=False)) is None:  # noqa: ASYNC110 - the broker has nothing to wait on
            await asyncio.sleep(0.01)
        await message.nack(requeue=True)

    async def publish(self, queue: str, body: bytes, **properties: Any) -> None:
        """Straight to a queue, confirmed."""
        await self._channel.default_exchange.publish(aio_pika.Message(body, **properties), queue)

    async def declare_queue(self, name: str, **arguments: Any) -> None:
        await self._channel.declare_queue(name, durable=True, arguments=arguments)

    async def delete_queue(self, name: str) -> None:
        await self._channel.queue_delete(name)

    async def delete_exchange(self, name: str) -> None:
        await self._channel.exchange_delete(name)

    async def unbind(self, queue: str, exchange: str, routing_key: str) -> None:
        await (await self._channel.get_queue(queue, ensure=False)).unbind(exchange, routing_key)
