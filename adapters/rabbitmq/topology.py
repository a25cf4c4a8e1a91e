"""The one place that says which exchanges and queues there are. `python -m adapters.rabbitmq.topology` prints the page
`docs/topology.md`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelClosed, ChannelPreconditionFailed
from aiormq.exceptions import ChannelAccessRefused

from adapters.rabbitmq.throwaway import throwaway_channel
from service.errors import BadConfiguration
from service.workflow.canary import ROUTING_KEY


@dataclass(frozen=True, slots=True)
class Exchange:
    name: str
    kind: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Queue:
    """A quorum queue. `bindings` are pairs of exchange and routing key."""

    name: str
    bindings: tuple[tuple[str, str], ...]
    purpose: str
    arguments: Mapping[str, str | int] = field(default_factory=dict)


FHIR_EVENTS = Exchange("fhir.events", "topic", "publishers send FHIR events here, as `fhir.<Type>.<operation>`")
DEAD_LETTERS = Exchange("ambient.dlx", "fanout", "what cannot be taken in: our copies and the broker's dead letters")

EVENTS = Queue(
    "ambient.events",
    bindings=(
        (FHIR_EVENTS.name, "fhir.Media.#"),
        (FHIR_EVENTS.name, "fhir.Encounter.#"),
        (FHIR_EVENTS.name, ROUTING_KEY),
    ),
    purpose="the service's work; a direct publish to it works too",
    arguments={
        "x-queue-type": "quorum",
        "x-delivery-limit": 50,  # well above the restarts of a rollout: each gives every prefetched delivery back
        "x-dead-letter-exchange": DEAD_LETTERS.name,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",  # without it the broker falls back to at-most-once dead lettering
    },
)
DEAD_EVENTS = Queue(
    "ambient.events.dead",
    bindings=((DEAD_LETTERS.name, "#"),),
    purpose="dead letters, whole, with the reason in header `x-ambient-reason`",
    arguments={
        "x-queue-type": "quorum",
        "x-delivery-limit": 1_000_000,  # from 4.0 on it is 20 unless set, and looking at a dead letter 20 times deletes it
    },
)

AUDIO_DOCUMENTS = (FHIR_EVENTS.name, "fhir.DocumentReference.#")
"""The binding that `AMBIENT_NOTES__AUDIO_DOCUMENTS` adds to the queue of events."""

EXCHANGES = (FHIR_EVENTS, DEAD_LETTERS)
QUEUES = (DEAD_EVENTS, EVENTS)  # the dead letters' home first: at-least-once needs it from the first delivery


async def declare(channel: AbstractChannel, *, audio_documents: bool = False) -> None:
    """Declares everything; harmless when it is there. A robust channel does so again after each reconnection.

    Raises BadConfiguration when something of that name was declared differently, or may not be declared at all.
    """
    try:
        for exchange in EXCHANGES:
            await channel.declare_exchange(exchange.name, exchange.kind, durable=True)
        for queue in QUEUES:
            declared = await channel.declare_queue(queue.name, durable=True, arguments=dict(queue.arguments))
            more = (AUDIO_DOCUMENTS,) if audio_documents and queue is EVENTS else ()
            for source, key in (*queue.bindings, *more):
                await declared.bind(source, key)
    except ChannelPreconditionFailed as refusal:
        raise BadConfiguration(
            f"RabbitMQ has this with other arguments: {refusal}. Arguments cannot be changed in place: delete the queue "
            "or exchange once it is empty, or set AMBIENT_BROKER__DECLARE=false and keep it with a policy"
        ) from None
    except ChannelAccessRefused as refusal:
        raise BadConfiguration(
            f"RabbitMQ refuses to declare: {refusal}. Grant the user configure, write and read on fhir.events and "
            "ambient.*, or declare the topology yourself (docs/topology.md) and set AMBIENT_BROKER__DECLARE=false"
        ) from None


async def verify(connection: AbstractConnection) -> None:
    """Raises BadConfiguration naming every exchange and queue that is not there, or that the user may not see.

    Arguments, policies and bindings cannot be asked for over AMQP, so they are not verified.
    """
    missing = [f"exchange {one.name}" for one in EXCHANGES if not await _exists(connection, one)]
    missing += [f"queue {one.name}" for one in QUEUES if not await _exists(connection, one)]
    if missing:
        raise BadConfiguration(
            f"RabbitMQ lacks {', '.join(missing)}: create what is missing (docs/topology.md), or set "
            "AMBIENT_BROKER__DECLARE=true"
        )


async def may_consume(connection: AbstractConnection) -> bool:
    """Whether the user may read the work queue. Tried behind all consumers that are there, so that it takes a delivery
    (and gives it back) only where there is none."""

    async def ignore(_: object) -> None: ...

    try:
        async with throwaway_channel(connection) as channel:
            await channel.basic_qos(prefetch_count=1)
            await channel.basic_consume(EVENTS.name, ignore, arguments={"x-priority": -10})
    except ChannelAccessRefused:
        return False
    return True


async def _exists(connection: AbstractConnection, one: Exchange | Queue) -> bool:
    """Each on a channel of its own, because the broker closes the channel with its refusal."""
    try:
        async with throwaway_channel(connection) as channel:
            if isinstance(one, Exchange):
                await channel.exchange_declare(one.name, passive=True)
            else:
                await channel.queue_declare(one.name, passive=True)
    except ChannelClosed:
        return False
    return True


ADDRESSES = (
    "",
    "## Addresses",
    "",
    "`AMBIENT_BROKER__URL` (or the file that `AMBIENT_BROKER__URL_FILE` names) with TLS and a client certificate:",
    "",
    "    amqps://USER:PASSWORD@rabbit-1:5671/VHOST?cafile=/certs/ca.pem&certfile=/certs/client.pem&keyfile=/certs/client.key",
    "",
    "Without `cafile` the system's authorities are trusted; `certfile` and `keyfile` only where the broker asks for them.",
    "The files are read at each connection, so that renewed ones are found. The host must be a name in the broker's",
    "certificate; `no_verify_ssl` is refused. `heartbeat` (10 s) and `reconnect_interval` (2 s) can be added to the URL.",
    "",
    "Several nodes of a cluster: whole URLs, with commas between them (a comma in a password is written `%2C`).",
    "",
    "    amqp://USER:PASSWORD@rabbit-1:5672/VHOST,amqp://USER:PASSWORD@rabbit-2:5672/VHOST",
    "",
    "The first that answers is used. When a connection is lost the others are tried in turn, in a circle.",
)


def page() -> str:
    """The topology as a Markdown page."""
    lines = [
        "# Topology in RabbitMQ",
        "",
        "Generated by `python -m adapters.rabbitmq.topology` from `adapters/rabbitmq/topology.py`. Everything is durable.",
        "With `AMBIENT_BROKER__DECLARE=true` (the default) the service declares it; with `false` it only verifies that the",
        "exchanges and queues exist, and the queues' arguments other than `x-queue-type` are expected in a policy. **Nobody can",
        "ask for arguments, policies and bindings over AMQP**: `ambient-fhir doctor` finds out by a canary whether it comes",
        "through; compare the rest with the tables below (`rabbitmqctl list_queues name arguments policy`).",
        "",
        f"`{ROUTING_KEY}`: every 30 s each `serve` and `worker` sends a canary through the queue, for its readiness. Without the",
        "binding, or the permission to write to the exchange, it says so once (`canary_not_bound`), does without, and tries again.",
        "",
        f"`{AUDIO_DOCUMENTS[1]}` is bound too where `AMBIENT_NOTES__AUDIO_DOCUMENTS=true`; switched off again, unbind it yourself:",
        "what still comes by it is ignored (`type_not_read`).",
        "",
        "The least that a user needs with `AMBIENT_BROKER__DECLARE=false`:",
        "",
        "| role | configure | write | read |",
        "|---|---|---|---|",
        r"| `serve`, `worker` | `^$` | `^(fhir\.events\|ambient\.dlx)$` | `^ambient\.events$` |",
        r"| `api` | `^$` | `^fhir\.events$` | `^$` |",
        "",
        r"To keep what the broker itself gave up, a worker reads the dead letters' queue too: `^ambient\.events(\.dead)?$`.",
        "",
        "| exchange | type | what |",
        "|---|---|---|",
        *(f"| `{one.name}` | {one.kind} | {one.purpose} |" for one in EXCHANGES),
        "",
        "| queue | bound to | arguments | what |",
        "|---|---|---|---|",
        *(_row(one) for one in reversed(QUEUES)),
    ]
    return "\n".join([*lines, *ADDRESSES]) + "\n"


def _row(queue: Queue) -> str:
    bindings = "<br>".join(f"`{source}`: `{key}`" for source, key in queue.bindings)
    arguments = "<br>".join(f"`{name}`: `{value}`" for name, value in queue.arguments.items())
    return f"| `{queue.name}` | {bindings} | {arguments} | {queue.purpose} |"


if __name__ == "__main__":
    sys.stdout.write(page())
