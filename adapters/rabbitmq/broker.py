"""RabbitMQ as the workflow's broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from aio_pika import DeliveryMode, Message

from adapters.rabbitmq import topology
from adapters.rabbitmq.connection import hang_up, open_connection
from adapters.rabbitmq.consumer import RabbitConsumer
from adapters.rabbitmq.failures import failures_as, keep_content_out_of_the_clients_logs
from adapters.rabbitmq.frames import read_whatever_comes
from adapters.rabbitmq.publisher import Connected, Publisher
from service.errors import BadConfiguration
from service.events.delivery import TakeIn
from service.settings import Broker as BrokerSettings
from service.telemetry import PUBLISHER_UP
from service.workflow.canary import send
from service.workflow.ports import PublishRefused


class RabbitBroker:
    """One connection to publish, and one for each consumer: a broker that is short of memory blocks those that publish, and
    acknowledgements must go on."""

    def __init__(
        self, settings: BrokerSettings, publisher: Publisher, watch_every: float, audio_documents: bool
    ) -> None:
        self._settings = settings
        self._audio_documents = audio_documents
        self._publisher = publisher
        self._watch_every = watch_every

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, settings: BrokerSettings, *, watch_every: float = 30.0, audio_documents: bool = False
    ) -> AsyncIterator[RabbitBroker]:
        """Open once the topology is declared, or verified with `declare=False`.

        `watch_every` is in seconds, for the watchdogs of the publisher and each consumer. Raises BadConfiguration when no broker lets us
        in, or when the topology is missing, differs, or may not be declared.
        """
        keep_content_out_of_the_clients_logs()
        read_whatever_comes()
        connect = partial(_connect, settings, audio_documents)
        publisher = Publisher(connect, await connect())
        watchdog = asyncio.create_task(publisher.watch(watch_every))
        try:
            yield cls(settings, publisher, watch_every, audio_documents)
        finally:
            watchdog.cancel()
            await asyncio.gather(watchdog, return_exceptions=True)
            PUBLISHER_UP.set(0)
            await hang_up(publisher.connection)

    async def publish(
        self, body: bytes, *, routing_key: str, content_type: str, message_id: str, headers: Mapping[str, str]
    ) -> None:
        message = Message(
            body,
            headers=dict(headers),
            content_type=content_type,
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=message_id,
            timestamp=datetime.now(UTC),
        )
        await self._publisher.publish(message, topology.FHIR_EVENTS.name, routing_key)

    @asynccontextmanager
    async def consume(self, take_in: TakeIn) -> AsyncIterator[RabbitConsumer]:
        """Raises BadConfiguration or ConsumerDown when it cannot begin. Stops the consumer on leaving."""
        connect = partial(open_connection, self._settings.url, "consuming")
        consumer = RabbitConsumer(
            connect, self._publisher, take_in, self._settings,
            watch_every=self._watch_every, audio_documents=self._audio_documents,
        )  # fmt: skip
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()

    async def lacks(self) -> list[str]:
        missing = []
        if not await topology.may_consume(self._publisher.connection):
            missing.append(f"the user may not read queue {topology.EVENTS.name}")
        try:
            await send(self, "doctor")
        except PublishRefused as refused:
            missing.append(
                f"no canary can fly ({refused}): see whether all bindings of {topology.EVENTS.name} in docs/topology.md are "
                "there, and whether the user may write to its exchange"
            )
        return missing


async def _connect(settings: BrokerSettings, audio_documents: bool) -> Connected:
    """For a publisher, with the topology declared or verified."""
    connection = await open_connection(settings.url, "publishing")
    try:
        with failures_as(lambda failure: BadConfiguration(f"RabbitMQ hung up while asked for its queues: {failure}")):
            if not settings.declare:
                await topology.verify(connection)
            channel = connection.channel(on_return_raises=True)
            await channel.initialize()
            if settings.declare:
                await topology.declare(channel, audio_documents=audio_documents)
    except BaseException:
        await hang_up(connection)
        raise
    return connection, channel
