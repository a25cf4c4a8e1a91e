"""Publishing with confirms: it returns once the broker has the message in a queue, or it raises."""

from __future__ import annotations

import asyncio
import struct

from aio_pika import Message
from aio_pika.abc import AbstractRobustChannel

from adapters.rabbitmq.failures import failures_as
from service.workflow.ports import PublishFailed

CONFIRM_WITHIN = 10.0
UNSENDABLE = (
    TypeError,
    ValueError,
    OverflowError,
    struct.error,
)  # what the client says of a header or key it cannot write


class Publisher:
    """Needs a robust channel opened with confirms and `on_return_raises`: without the latter the client reports a
    message that no queue took as if it had been delivered."""

    def __init__(self, channel: AbstractRobustChannel) -> None:
        self._channel = channel
        self._one_by_one = tuple(asyncio.Lock() for _ in range(256))

    async def publish(self, message: Message, exchange: str, routing_key: str) -> None:
        """Raises PublishFailed when the message was unroutable, refused or not confirmed within `CONFIRM_WITHIN`.

        While the connection is down it waits for it that long. An unconfirmed message may have arrived all the same.
        """
        with failures_as(lambda failure: PublishFailed(f"{exchange}: {failure}"), and_also=UNSENDABLE):
            async with asyncio.timeout(CONFIRM_WITHIN), self._alone_with_its_id(message):
                await self._channel.ready()
                target = await self._channel.get_exchange(exchange, ensure=False)
                await target.publish(message, routing_key, mandatory=True)

    def _alone_with_its_id(self, message: Message) -> asyncio.Lock:
        """The client finds out by message id which publish was returned: of two in flight with the same id the wrong one
        would fail, and the other would count as confirmed. So equal ids take turns."""
        return self._one_by_one[hash(message.message_id) % len(self._one_by_one)]
