"""RabbitMQ as the workflow's broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractRobustConnection

from adapters.rabbitmq import topology
from adapters.rabbitmq.connection import robust_connection
from adapters.rabbitmq.consumer import RabbitConsumer
from adapters.rabbitmq.failures import failures_as, keep_content_out_of_the_clients_logs
from adapters.rabbitmq.publisher import Publisher
from service.errors import BadConfiguration
from service.events.delivery import TakeIn
from service.settings import Broker as BrokerSettings


class RabbitBroker:
    """Two connections: a broker that is short of memory blocks those that publish, and acknowledgements must go on."""

    def __init__(
        self, settings: BrokerSettings, consuming: AbstractRobustConnection, publisher: Publisher, watch_every: float
    ) -> None:
        self._settings = settings
        self._consuming = consuming
        self._publisher = publisher
        self._watch_every = watch_every

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: BrokerSettings, *, watch_every: float = 30.0) -> AsyncIterator[RabbitBroker]:
        """Open once the topology is declared, or verified with `declare=False`.

        `watch_every` is in seconds, for the watchdog of each consumer. Raises BadConfiguration when no broker lets us
        in, or when the topology is missing, differs, or may not be declared.
        """
        keep_content_out_of_the_clients_logs()
        async with (
            robust_connection(settings.url, "publishing") as publishing,
            robust_connection(settings.url, "consuming") as consuming,
        ):
            with failures_as(
                lambda failure: BadConfiguration(f"RabbitMQ hung up while asked for its queues: {failure}")
            ):
                publisher = await _open_publisher(publishing, settings.declare)
            yield cls(settings, consuming, publisher, watch_every)

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
        consumer = RabbitConsumer(
            self._consuming, self._publisher, take_in, self._settings, watch_every=self._watch_every
        )
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()


async def _open_publisher(connection: AbstractRobustConnection, declare: bool) -> Publisher:
    if not declare:
        await topology.verify(connection)
    channel = connection.channel(on_return_raises=True)
    await channel.initialize()
    if declare:
        await topology.declare(channel)
    return Publisher(channel)
