"""Answers that come before the request has been read whole: what the client still sends is read, and thrown away."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST = 30.0
"""Seconds. A connection that is closed with bytes unread resets, and most clients then lose the answer."""

PATIENCE = 5.0
"""Seconds without any byte."""

SMALL = 64 * 1024
"""Bytes of a body that are sooner read than a connection is made anew."""


class Lingering:
    """An app whose early refusals arrive: the answer goes out whole, and ends once the request has been read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(Headers(scope=scope), receive, send)
        await self._app(scope, exchange.receive, exchange.send)


class _Exchange:
    def __init__(self, headers: Headers, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._unread = True
        self._uninvited = headers.get("expect", "").lower() == "100-continue"
        self._small = int(headers.get("content-length") or SMALL + 1) <= SMALL

    async def receive(self) -> Message:
        message = await self._receive()
        self._uninvited = False
        self._unread = self._unread and message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if not self._unread:
            await self._send(message)
        elif message["type"] == "http.response.start":
            if self._uninvited or not self._small:
                MutableHeaders(scope=message)["Connection"] = "close"
            await self._send(message)
        elif message.get("more_body", False) or self._uninvited:
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            await self._drain()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drain(self) -> None:
        """A client that waits to be invited sends nothing; whoever sends too long or too slowly is cut off."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                while self._unread:
                    await asyncio.wait_for(self.receive(), PATIENCE)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
