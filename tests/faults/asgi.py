"""The little of ASGI that the servers here need, and uvicorn with a way to hang up on a client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Aborting(HttpToolsProtocol):
    """Lets an app break its connection: `scope["abort"]()`."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["abort"] = self.transport.abort  # type: ignore[typeddict-unknown-key]


async def body_of(receive: Receive) -> bytes:
    """Raises ConnectionError when the client goes away before it has sent all of it."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client is gone")
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def answer(send: Send, status: int, content: Any = None, **headers: str) -> None:
    """`content` is written as JSON; None is an empty body."""
    body = b"" if content is None else orjson.dumps(content)
    told = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def serve(opening: AbstractAsyncContextManager[App], port: int) -> None:
    """Serves the app on loopback until the process is told to stop."""

    async def run() -> None:
        async with opening as app:
            config = uvicorn.Config(
                app, host="127.0.0.1", port=port, http=Aborting, ws="none", lifespan="off", log_config=None,
                access_log=False, timeout_keep_alive=60, timeout_graceful_shutdown=1,
            )  # fmt: skip
            await uvicorn.Server(config).serve()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
