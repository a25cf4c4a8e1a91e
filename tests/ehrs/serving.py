"""Apps on real sockets of loopback, in the loop of whoever asks: what a test looks at is in its own process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from tests.faults.asgi import Aborting, App


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[str]:
    """The URL, without a slash at its end. What is under way when it is left is cut off."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, http=Aborting, ws="none", lifespan="off", log_config=None,
        access_log=False, timeout_keep_alive=60, timeout_graceful_shutdown=0,
    )  # fmt: skip
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config.load()
    server, listener = uvicorn.Server(config), config.bind_socket()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])  # without `serve`, which takes over the signals and lingers at its end
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.force_exit = True
        await server.shutdown(sockets=[listener])
