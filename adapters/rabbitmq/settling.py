"""What becomes of one delivery: taken in, then acknowledged, copied to the dead letters, or given back."""

from __future__ import annotations

import asyncio

import structlog
from aio_pika.abc import AbstractIncomingMessage

from adapters.rabbitmq.delivery import dead_letter_of, delivery_of
from adapters.rabbitmq.failures import failures_as
from adapters.rabbitmq.publisher import Publisher
from adapters.rabbitmq.setbacks import Setbacks
from adapters.rabbitmq.topology import DEAD_LETTERS
from service.events.delivery import TakeIn, Taken
from service.workflow.canary import UNNOTED

log = structlog.get_logger()

HOLD = 240.0


class NotSettled(Exception):
    """The channel that brought the delivery is gone; the broker brings it again."""


class Settler:
    """`hold` is how long an outage may keep a delivery in hand before it goes back to the queue: well below the broker's
    consumer timeout (30 minutes), and long enough that the queue's delivery limit outlasts hours of it."""

    def __init__(self, take_in: TakeIn, publisher: Publisher, setbacks: Setbacks, hold: float = HOLD) -> None:
        self._take_in = take_in
        self._publisher = publisher
        self._setbacks = setbacks
        self._hold = hold

    async def settle(self, message: AbstractIncomingMessage) -> None:
        """Never raises, except when cancelled: then the delivery is unsettled and comes again."""
        try:
            taken = await self._patiently(message)
            with failures_as(NotSettled):
                await (message.ack() if taken else message.nack(requeue=True))
        except NotSettled as lost:
            log.debug("delivery_not_settled", delivery=message.message_id, reason=str(lost))

    async def _patiently(self, message: AbstractIncomingMessage) -> Taken | None:
        """None when the delivery must go back to the queue.

        A failure while others succeed is the delivery's own: it goes back, where the delivery limit ends a hopeless one.
        A failure while nothing succeeds looks like an outage. Each way back to the queue counts towards that limit, so
        the delivery is kept and tried again, up to `hold` seconds.
        """
        clock = asyncio.get_running_loop().time
        give_back_at = clock() + self._hold
        while True:
            try:
                taken = await self._take(message)
            except Exception:
                log.warning("delivery_not_taken_in", delivery=message.message_id, exc_info=True)
                if not await self._setbacks.pause() or clock() > give_back_at:
                    return None
            else:
                if taken != UNNOTED:
                    self._setbacks.succeeded()
                return taken

    async def _take(self, message: AbstractIncomingMessage) -> Taken:
        """Raises what `take_in` raises, or PublishFailed when the dead letter's copy was not confirmed."""
        taken = await self._take_in(delivery_of(message))
        if taken.ending == "dead":
            letter = dead_letter_of(message, taken.reason)
            await self._publisher.publish(letter, DEAD_LETTERS.name, message.routing_key or "")
        return taken
