"""What the broker itself put among the dead letters: deliveries that came back until the delivery limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from aio_pika.abc import AbstractIncomingMessage

from adapters.rabbitmq.connection import robust_connection
from adapters.rabbitmq.delivery import REASON_HEADER, delivery_of
from adapters.rabbitmq.failures import failures_as, keep_content_out_of_the_clients_logs
from adapters.rabbitmq.topology import DEAD_EVENTS
from service.errors import Rejected, Retryable
from service.events.delivery import Delivery
from service.telemetry import describe, frames
from service.workflow.ports import ConsumerDown

log = structlog.get_logger()

Keep = Callable[[Delivery, Rejected], Awaitable[object]]

_CAUSES = ("delivery_limit", "rejected", "expired", "maxlen")


async def collect(urls: str, keep: Keep) -> int:
    """Hands each message of `ambient.events.dead` that is no copy of ours to `keep`, acknowledges it then, and counts.

    Copies, which carry `x-ambient-reason`, stay in the queue: they are held until the look is over, so that none is
    looked at twice, without their bodies. What cannot be kept stays too, and does not stop the others. Raises
    BadConfiguration or ConsumerDown when the queue cannot be looked at, Retryable when nothing can be kept now.
    """
    keep_content_out_of_the_clients_logs()
    kept = 0
    async with robust_connection(urls, "collecting dead letters") as connection:
        with failures_as(lambda failure: ConsumerDown(f"{DEAD_EVENTS.name} cannot be looked at: {failure}")):
            channel = await connection.channel(publisher_confirms=False)
            queue = await channel.declare_queue(DEAD_EVENTS.name, passive=True)
            for _ in range(queue.declaration_result.message_count or 0):
                message = await queue.get(fail=False)
                if message is None:
                    break
                if REASON_HEADER not in message.headers and await _is_kept(message, keep):
                    await message.ack()
                    kept += 1
    return kept


async def _is_kept(message: AbstractIncomingMessage, keep: Keep) -> bool:
    try:
        await keep(delivery_of(message), Rejected("delivery_limit", f"RabbitMQ gave it up: {_cause(message)}"))
    except Retryable:
        raise
    except Exception as error:
        log.error("dead_letter_not_kept", delivery=message.message_id, error=describe(error), frames=frames(error))
        return False
    return True


def _cause(message: AbstractIncomingMessage) -> str:
    """The broker's own word, in the latest entry of `x-death`; nothing else that may stand there."""
    match message.headers.get("x-death"):
        case [{"reason": str(cause)}, *_] if cause in _CAUSES:
            return cause
    return "cause unknown"
