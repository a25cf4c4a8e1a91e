"""Opening a connection that finds its own way back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractRobustConnection
from yarl import URL

from adapters.rabbitmq.failures import FAILURES
from service.errors import BadConfiguration

HEARTBEAT = 10  # a silent peer is noticed after (10 + 1) × 3 seconds
RECONNECT_AFTER = 2
CONNECT_WITHIN = 10


@asynccontextmanager
async def robust_connection(urls: str, purpose: str) -> AsyncIterator[AbstractRobustConnection]:
    """A connection to the first of the comma-separated URLs that answers; it keeps reconnecting to that one.

    A cluster whose nodes may go away for good is therefore better reached through one name that stands for all of
    them. Raises BadConfiguration when none answers. A URL's own `heartbeat` and `reconnect_interval` win over ours.
    """
    connection = await _first_that_answers([word.strip() for word in urls.split(",") if word.strip()], purpose)
    try:
        yield connection
    finally:
        await connection.close()


async def _first_that_answers(urls: list[str], purpose: str) -> AbstractRobustConnection:
    refusals = []
    for url in urls:
        address = _with_our_defaults(url)
        try:
            return await aio_pika.connect_robust(
                address, timeout=CONNECT_WITHIN, client_properties={"connection_name": f"ambient-fhir {purpose}"}
            )
        except FAILURES as failure:
            refusals.append(f"{address.host}:{address.port} {type(failure).__name__}")
    raise BadConfiguration(
        f"AMBIENT_BROKER__URL: no broker let us in ({'; '.join(refusals)}): check that it runs, and user, password and "
        "virtual host"
    )


def _with_our_defaults(url: str) -> URL:
    try:
        parsed = URL(url)
    except ValueError:
        raise BadConfiguration("AMBIENT_BROKER__URL: write amqp://user:password@host:5672/vhost") from None
    if parsed.scheme not in ("amqp", "amqps") or not parsed.host:
        raise BadConfiguration("AMBIENT_BROKER__URL: every URL must start with amqp:// or amqps:// and name a host")
    defaults = {"heartbeat": str(HEARTBEAT), "reconnect_interval": str(RECONNECT_AFTER)}
    return parsed.update_query({key: value for key, value in defaults.items() if key not in parsed.query})
