"""Gives a dead letter its second chance: reads it again first, and publishes it only if it can be taken in now."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from service.api.ports import DeadLetters
from service.api.terms import Terms
from service.errors import Ignored, Rejected
from service.events.delivery import Delivery
from service.events.event import Event
from service.workflow.ports import Broker


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay would do or did: `verdict` is `would_be_stored`, `replayed`, `ignored`, `rejected` or `not_open`."""

    verdict: str
    reason: str = ""
    events: tuple[str, ...] = ()


async def would_replay(letter: str, letters: DeadLetters, terms: Terms) -> Replay:
    """What a replay would end as. Raises KeyError for an unknown letter."""
    return (await _readable(letter, letters, terms))[0]


async def replay(letter: str, letters: DeadLetters, broker: Broker, terms: Terms) -> Replay:
    """Raises KeyError for an unknown letter, PublishFailed when the broker does not confirm."""
    verdict, delivery, events = await _readable(letter, letters, terms)
    if not events:
        return verdict
    await publish_again(delivery, events, broker)
    done = "replayed" if await letters.settle_letter(letter, "replayed") else "not_open"
    return Replay(done, events=verdict.events)


async def _readable(letter: str, letters: DeadLetters, terms: Terms) -> tuple[Replay, Delivery, list[Event]]:
    shown, delivery = await letters.show_letter(letter), await letters.find_delivery(letter)
    if shown is None or delivery is None:
        raise KeyError(letter)
    if shown["state"] != "open":
        return Replay("not_open", str(shown["state"])), delivery, []
    if len(delivery.body) > terms.max_message:
        return (
            Replay("rejected", f"too_large: {len(delivery.body)} bytes; raise AMBIENT_BROKER__MAX_MESSAGE"),
            delivery,
            [],
        )
    try:
        events = terms.read(delivery)
    except Rejected as rejected:
        return Replay("rejected", str(rejected)), delivery, []
    except Ignored as ignored:
        return Replay("ignored", ignored.reason), delivery, []
    return Replay("would_be_stored", events=tuple(event.reference for event in events)), delivery, events


async def publish_again(delivery: Delivery, events: list[Event], broker: Broker) -> None:
    """The delivery as it came, under the routing key of its events: the old one may not be bound."""
    await broker.publish(
        delivery.body,
        routing_key=routing_key(events),
        content_type=delivery.content_type or "application/fhir+json",
        message_id=delivery.message_id or message_id(events[0]),
        headers=dict(delivery.headers),
    )


def message_id(event: Event) -> str:
    """The event's id, as AMQP can carry it: at most 255 bytes."""
    return event.id if len(event.id.encode()) <= 255 else hashlib.sha256(event.id.encode()).hexdigest()


def routing_key(events: Sequence[Event]) -> str:
    """`fhir.<Type>.<create|update|delete>` by the first one's type; `delete` only where all are.

    Whether it was the first version is not known here, so upserts are updates.
    """
    all_deletes = all(event.operation == "delete" for event in events)
    return f"fhir.{events[0].type}.{'delete' if all_deletes else 'update'}"
