"""The edge where bytes become requests: uvicorn's protocol with limits on heads and waiting, and our error body.

What a client does wrong before there is a request is answered here; everything later is answered by the app.
"""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

import httptools
import orjson
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = structlog.get_logger()

HEAD_LIMIT = 64 * 1024
"""Bytes of request line and headers together."""

PATIENCE = 60.0
"""Seconds from the first byte of a request to the end of its headers, between two pieces of its body, and between two
pieces of the answer that the client takes."""

LINGER_SECONDS = 5.0
"""A connection that is closed with bytes unread resets, and the client loses the answer: so what it still sends is read,
and thrown away, for so long."""


class TooLong(Exception):
    """The head is larger than HEAD_LIMIT."""


class Edge(HttpToolsProtocol):
    """One connection. `_due` is when the client must have sent, or taken, something again; one timer looks at it."""

    def __init__(self, *args: Any, patience: float = PATIENCE, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience = patience
        self._in_head = self._in_body = self._refused = False
        self._head = self._unread = 0
        self._untaken = -1
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._await_client(self._patience)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._untaken = -1

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._unread += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._offered(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            self._refuse(431 if isinstance(error.__context__, TooLong) else 400)
        except httptools.HttpParserError:
            self._refuse(400)
        else:
            if self._unread > HEAD_LIMIT:  # one endless header or trailer, which reaches no callback
                self._refuse(431)

    # The parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head = True, 0
        self._heard()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._bound(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers, which come after the body, are counted and left out: nothing reads them."""
        self._bound(len(name) + len(value) + 4)
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._heard()
        if not self._upgrades_elsewhere():
            super().on_headers_complete()
            self._in_body = True

    def on_body(self, body: bytes) -> None:
        self._heard()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._heard()
        if not self._upgrades_elsewhere():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """After a refusal it was the last one."""
        if self._refused and not self.transport.is_closing():
            self._linger()
        else:
            super().on_response_complete()

    # Upgrades

    def _upgrades_elsewhere(self) -> bool:
        return bool(self.parser.should_upgrade()) and not self._should_upgrade()

    def _offered(self, rest: bytes) -> None:
        """No honest client offers while an earlier request waits for its turn, nor a websocket before it has its answer."""
        method, websocket = self.parser.get_method(), self._should_upgrade()
        if method == b"CONNECT" or self.pipeline or (websocket and self._working):
            self._refuse(400)
        elif websocket:
            self.handle_websocket_upgrade()
        else:
            self._stay(method, rest)

    def _stay(self, method: bytes, body: bytes) -> None:
        """Java's client offers HTTP/2 with each request. The parser stops at an offer, before the body; another one reads
        the same request without it."""
        version = self.parser.get_http_version().encode()
        head = [method, b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name not in (b"connection", b"upgrade", b"http2-settings"):
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", body]))

    def _should_upgrade_to_ws(self) -> bool:
        return True

    def handle_websocket_upgrade(self) -> None:
        """The library is imported at the first websocket: most processes never see one."""
        from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

        self._forget()
        self.ws_protocol_class = WSProtocol
        super().handle_websocket_upgrade()

    # Limits

    def _bound(self, size: int) -> None:
        self._head += size
        if self._head > HEAD_LIMIT:
            raise TooLong

    def _heard(self) -> None:
        """The client made progress that the parser tells of."""
        self._unread = 0
        self._await_client(self._patience)

    def _await_client(self, seconds: float) -> None:
        self._due = self.loop.time() + seconds

    def _look_later(self) -> None:
        self._timer = self.loop.call_later(max(self._due - self.loop.time(), 0.05), self._look)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """Runs when the client is due, and again later while it is not the client that is waited for."""
        if self.loop.time() >= self._due:
            before, self._untaken = self._untaken, self.transport.get_write_buffer_size() or -1
            if self._untaken == before > 0 or (self._refused and self._untaken < 0 and not self._working):
                self.transport.abort()
                return
            self._await_client(self._patience)
            if self._untaken < 0 and not self._refused and self._is_slow():
                self._refuse(408)
        self._look_later()

    @property
    def _working(self) -> bool:
        return self.cycle is not None and not (self.cycle.response_complete or self.cycle.disconnected)

    def _is_slow(self) -> bool:
        """Not while the app is busy with the request, or leaves its body waiting."""
        return (self._in_head or self._in_body or not self._working) and not self.flow.read_paused

    # Refusals

    def _refuse(self, status: int) -> None:
        """Answers unless an answer is under way, which then is the last one of the connection."""
        self._refused = True
        if self.pipeline or (self._working and not self._in_body):
            return
        if not (self._in_body and self.cycle.response_started):
            self.transport.write(_answer(status))
        self._linger()

    def _linger(self) -> None:
        if self._working:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self._await_client(min(LINGER_SECONDS, self._patience))
        if self.transport.can_write_eof():
            self.transport.write_eof()


_WORDS = {
    400: "this is not HTTP that can be read",
    408: "the request did not arrive in time",
    431: f"request line and headers are larger than {HEAD_LIMIT} bytes",
}


def _answer(status: int) -> bytes:
    """The one error body. No header of the request is looked at, so the id is always ours."""
    ident = str(uuid4())
    log.info("request_unreadable", request=ident, status=status)
    body = orjson.dumps({"requestid": ident, "status": status, "type": "about:blank", "detail": _WORDS[status]})
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-Id: {ident}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
