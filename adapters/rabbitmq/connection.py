"""Opening a connection that finds its own way back, through any of the brokers that it was given."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import structlog
from aio_pika import RobustConnection
from aio_pika.abc import AbstractRobustConnection
from yarl import URL

from adapters.rabbitmq.failures import FAILURES
from adapters.rabbitmq.throwaway import ANSWER_WITHIN
from service.errors import BadConfiguration

log = structlog.get_logger()

HEARTBEAT = 10  # a silent peer is noticed after (10 + 1) × 3 seconds
RECONNECT_AFTER = 2
CONNECT_WITHIN = 10


class RotatingConnection(RobustConnection):
    """Connects to the next of its URLs at every attempt: the client reads `url` once for each.

    The client's own options (`reconnect_interval`) are those of the first URL; all others are each URL's own. Files of
    certificates are read at each attempt, so that renewed ones are found.
    """

    def __init__(self, urls: Sequence[URL], purpose: str) -> None:
        self._urls: Iterator[URL] = itertools.repeat(urls[0])
        self._latest = urls[0]
        super().__init__(urls[0], client_properties={"connection_name": f"ambient-fhir {purpose}"})
        self._urls = itertools.cycle(urls)

    @property
    def url(self) -> URL:
        self._latest = next(self._urls)
        return self._latest

    @url.setter
    def url(self, _: URL) -> None:
        """The client sets the first one again."""

    def __str__(self) -> str:
        return f"{self._latest.host}:{self._latest.port}"


@asynccontextmanager
async def robust_connection(urls: str, purpose: str) -> AsyncIterator[AbstractRobustConnection]:
    """`open_connection`, closed on leaving."""
    connection = await open_connection(urls, purpose)
    try:
        yield connection
    finally:
        await hang_up(connection)


async def hang_up(connection: AbstractRobustConnection) -> None:
    """In bounded time, whatever became of it."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            await connection.close()
    except FAILURES as failure:
        log.debug("connection_close_unanswered", reason=type(failure).__name__)


async def open_connection(urls: str, purpose: str) -> AbstractRobustConnection:
    """A connection to the first of the comma-separated URLs that answers. When it is lost, the next ones are tried, in a
    circle. Raises BadConfiguration when none answers. A URL's own `heartbeat` and `reconnect_interval` win over ours.
    """
    addresses = [_with_our_defaults(word.strip()) for word in urls.split(",") if word.strip()]
    refusals = []
    for place, address in enumerate(addresses):
        connection = RotatingConnection(addresses[place:] + addresses[:place], purpose)
        try:
            async with asyncio.timeout(2 * CONNECT_WITHIN):  # the client tries on for ever after what it does not know
                await connection.connect(timeout=CONNECT_WITHIN)
        except asyncio.CancelledError:
            await hang_up(connection)  # it would try on for ever
            raise
        except FAILURES as failure:
            await hang_up(connection)
            refusals.append(f"{address.host}:{address.port} {_why(failure, address)}")
        else:
            return connection
    raise BadConfiguration(
        f"AMBIENT_BROKER__URL: no broker let us in ({'; '.join(refusals)}): check that it runs, and user, password and "
        "virtual host"
    )


def _why(failure: Exception, address: URL) -> str:
    """The type alone, except where TLS or a file says what to mend: those texts quote neither URL nor message."""
    for one in (failure, failure.__cause__):
        match one:
            case ssl.SSLCertVerificationError():
                return (
                    f"shows a certificate that is not trusted ({one.verify_message}): set ?cafile= to its authority's"
                )
            case ssl.SSLError() if one.reason and "CERTIFICATE_REQUIRED" not in one.reason:
                return f"does not agree on TLS ({one.reason}): check cafile, certfile and keyfile"
            case FileNotFoundError() | PermissionError() | IsADirectoryError():
                return f"{type(one).__name__}: check that cafile, certfile and keyfile can be read"
    if address.scheme == "amqps" and "certfile" not in address.query:
        return f"{type(failure).__name__}: it may demand a client certificate, set ?certfile= and &keyfile="
    return type(failure).__name__


def _with_our_defaults(url: str) -> URL:
    try:
        parsed = URL(url)
    except ValueError:
        raise BadConfiguration("AMBIENT_BROKER__URL: write amqp://user:password@host:5672/vhost") from None
    if parsed.scheme not in ("amqp", "amqps") or not parsed.host:
        raise BadConfiguration("AMBIENT_BROKER__URL: every URL must start with amqp:// or amqps:// and name a host")
    if parsed.query.get("no_verify_ssl", "0") != "0":
        raise BadConfiguration(
            "AMBIENT_BROKER__URL: no_verify_ssl would send patient data to whoever answers: remove it, and set ?cafile= to "
            "the certificate of the authority that signed the broker's"
        )
    defaults = {"heartbeat": str(HEARTBEAT), "reconnect_interval": str(RECONNECT_AFTER)}
    return parsed.update_query({key: value for key, value in defaults.items() if key not in parsed.query})
