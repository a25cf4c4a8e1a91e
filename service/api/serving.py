"""uvicorn, with the process's signals left to us: the order of stopping is the composition root's business."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from service.api.edge import PATIENCE, Edge
from service.api.lingering import Lingering
from service.errors import BadConfiguration

FRAME_LIMIT = 64 * 1024 + 1024
"""Bytes of a websocket's message: the wire's longest is 64,000 bytes of audio."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(
    app: ASGIApp, host: str, port: int, *, patience: float = PATIENCE, grace: int = 5
) -> AsyncIterator[int]:
    """Serves until left, then lets requests under way finish for `grace` seconds, and cancels them. Yields the port (of
    the kernel's choice for 0). `patience`: see `edge.py`.

    Raises BadConfiguration when the address cannot be had.
    """
    config = uvicorn.Config(
        Lingering(app),
        host=host,
        port=port,
        lifespan="off",
        http=cast(type[asyncio.Protocol], partial(Edge, patience=patience)),
        ws="none",  # `Edge` knows which
        ws_max_size=FRAME_LIMIT,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=grace,
        server_header=False,
    )
    server = _Server(config)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it would say the same on a line of its own
    try:
        socket = config.bind_socket()
    except SystemExit:
        raise BadConfiguration(
            f"cannot listen on {host}:{port}: the port is taken or the address is not this machine's"
        ) from None
    serving = asyncio.create_task(server.serve([socket]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells it by a flag alone
        await asyncio.sleep(0.005)
    try:
        yield socket.getsockname()[1]
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await serving
        socket.close()


@asynccontextmanager
async def until_told_to_stop() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    try:
        yield stop
    finally:
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(signum)
