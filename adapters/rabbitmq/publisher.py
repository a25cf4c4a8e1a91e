"""Publishing with confirms: it returns once the broker has the message in a queue, or it raises.

The client is not trusted to find back: what has been down for `PERIODS` although a new connection gets in is replaced.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable

import structlog
from aio_pika import Message
from aio_pika.abc import AbstractRobustChannel, AbstractRobustConnection
from aiormq.exceptions import ChannelAccessRefused, PublishError

from adapters.rabbitmq.connection import RECONNECT_AFTER, hang_up
from adapters.rabbitmq.failures import failures_as
from service.errors import BadConfiguration
from service.telemetry import PUBLISHER_UP
from service.workflow.ports import PublishFailed, PublishRefused

log = structlog.get_logger()

CONFIRM_WITHIN = 10.0
PERIODS = 3
START_OVER_WITHIN = 60.0
UNSENDABLE = (
    TypeError,
    ValueError,
    OverflowError,
    struct.error,
)  # what the client says of a header or key it cannot write

Connected = tuple[AbstractRobustConnection, AbstractRobustChannel]


class Publisher:
    """`connect` gives a robust channel opened with confirms and `on_return_raises`, and its connection: without the
    latter option the client reports a message that no queue took as if it had been delivered."""

    def __init__(self, connect: Callable[[], Awaitable[Connected]], connected: Connected) -> None:
        self._connect = connect
        self.connection, self._channel = connected
        self._one_by_one = tuple(asyncio.Lock() for _ in range(256))

    async def publish(self, message: Message, exchange: str, routing_key: str) -> None:
        """Raises PublishRefused when the message was unroutable or not allowed, PublishFailed when it was not confirmed
        within `CONFIRM_WITHIN`, or at once while there is no connection. An unconfirmed message may have arrived all the
        same."""
        if not self.connection.connected.is_set():
            raise PublishFailed(f"{exchange}: not connected")
        with failures_as(lambda failure: PublishFailed(f"{exchange}: {failure}"), and_also=UNSENDABLE):
            try:
                async with asyncio.timeout(CONFIRM_WITHIN), self._alone_with_its_id(message):
                    await self._channel.ready()
                    target = await self._channel.get_exchange(exchange, ensure=False)
                    await target.publish(message, routing_key, mandatory=True)
            except PublishError:
                raise PublishRefused(f"{exchange}: no queue is bound to this routing key") from None
            except ChannelAccessRefused:
                raise PublishRefused(f"{exchange}: the user may not write to it") from None

    @property
    def up(self) -> bool:
        """As far as this end knows: asking costs nothing."""
        return self.connection.connected.is_set() and not self._channel.is_closed

    async def watch(self, every: float) -> None:
        """For ever. `every` is in seconds, for the patience with what is down."""
        up_at = time.monotonic()
        while True:
            if self.up:
                up_at = time.monotonic()
            elif time.monotonic() - up_at > PERIODS * every:
                await self._start_over()
            PUBLISHER_UP.set(self.up)
            await asyncio.sleep(min(every, RECONNECT_AFTER))

    async def _start_over(self) -> None:
        try:
            async with asyncio.timeout(START_OVER_WITHIN):
                fresh = await self._connect()
        except BadConfiguration as refused:
            log.warning("publisher_still_down", detail=str(refused))
        except Exception as error:
            log.error("publisher_still_down", error=error)
        else:
            log.warning("publisher_reconnected")
            old, (self.connection, self._channel) = self.connection, fresh
            await hang_up(old)

    def _alone_with_its_id(self, message: Message) -> asyncio.Lock:
        """The client finds out by message id which publish was returned: of two in flight with the same id the wrong one
        would fail, and the other would count as confirmed. So equal ids take turns."""
        return self._one_by_one[hash(message.message_id) % len(self._one_by_one)]
