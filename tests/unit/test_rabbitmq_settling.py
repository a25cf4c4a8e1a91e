"""Whether a delivery that failed goes back to its queue or is kept in hand depends on how the others fare."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from adapters.rabbitmq.publisher import Publisher
from adapters.rabbitmq.setbacks import Setbacks
from adapters.rabbitmq.settling import Settler
from service.events.delivery import Delivery, Taken
from service.workflow.canary import UNNOTED


@dataclass
class Message:
    """The client's message, as far as it is looked at."""

    body: bytes
    content_type = routing_key = message_id = None
    headers: dict[str, Any] = field(default_factory=dict)
    settled: str = ""

    async def ack(self) -> None:
        self.settled = "acknowledged"

    async def nack(self, requeue: bool) -> None:
        self.settled = f"given back: {requeue}"


@pytest.mark.parametrize(
    ("other", "ends"),
    [
        (Taken("stored"), "given back: True"),
        (Taken("ignored", "canary"), "given back: True"),
        (UNNOTED, "acknowledged"),
    ],
)
async def test_a_failure_is_its_own_only_where_another_delivery_proved_the_database(other: Taken, ends: str) -> None:
    tries = 0

    async def take_in(delivery: Delivery) -> Taken:
        nonlocal tries
        if delivery.body == b"other":
            return other
        tries += 1
        if tries == 1:
            raise RuntimeError("a bug, or the database is away")
        return Taken("stored")

    settler = Settler(take_in, cast(Publisher, None), Setbacks(first_pause=0.3))
    failing, fine = Message(b"failing"), Message(b"other")
    settling = asyncio.create_task(settler.settle(cast(Any, failing)))
    await asyncio.sleep(0.05)
    await settler.settle(cast(Any, fine))
    await settling
    assert (failing.settled, fine.settled) == (ends, "acknowledged")
