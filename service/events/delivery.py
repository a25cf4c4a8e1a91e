"""A delivery: what a transport handed over, before anyone looked inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Delivery:
    """The raw bytes and what the transport said about them. Header names are as received; compare case-insensitively."""

    body: bytes
    content_type: str | None = None
    routing_key: str | None = None
    message_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    transport: Literal["amqp", "memory"] = "memory"


@dataclass(frozen=True, slots=True)
class Taken:
    """How a delivery ended. `dead` means: stored whole in the database with `reason`, to be copied to the dead-letter queue."""

    ending: Literal["stored", "ignored", "dead"]
    reason: str = ""


TakeIn = Callable[[Delivery], Awaitable[Taken]]
