"""From an AMQP message to a Delivery, and to the copy that a dead letter leaves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage

from service.events.delivery import Delivery

REASON_HEADER = "x-ambient-reason"
_NOT_THE_SENDERS = (
    REASON_HEADER, "x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count"
)  # fmt: skip


def delivery_of(message: AbstractIncomingMessage) -> Delivery:
    """As it was sent: without what the broker, or we, wrote on it since, so that it is the same however often it comes."""
    return Delivery(
        body=message.body,
        content_type=message.content_type,
        routing_key=message.routing_key,
        message_id=message.message_id,
        headers={
            name: _text(value) for name, value in message.headers.items() if not name.startswith(_NOT_THE_SENDERS)
        },
        transport="amqp",
    )


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def dead_letter_of(message: AbstractIncomingMessage, reason: str) -> Message:
    """The whole message and why it is dead. Two properties stay behind: `expiration` would delete the copy after a
    while, and the broker refuses a `user_id` that is not ours."""
    return Message(
        message.body,
        headers={name: _sendable(value) for name, value in message.headers.items()} | {REASON_HEADER: reason},
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        delivery_mode=DeliveryMode.PERSISTENT,
        priority=message.priority,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        message_id=message.message_id,
        timestamp=message.timestamp,
        type=message.type,
        app_id=message.app_id,
    )


def _sendable(value: Any) -> Any:
    """The client cannot send all that it reads: text that is not UTF-8 arrives as bytes, and floats leave at half their
    width."""
    match value:
        case float():
            return str(value)
        case bytes():
            return bytearray(value)
        case list():
            return [_sendable(one) for one in value]
        case dict():
            return {name: _sendable(one) for name, one in value.items()}
    return value
