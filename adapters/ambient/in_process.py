"""An ambient app of this process behind httpx, so that embedded and remote engines have one client."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx


class InProcess(httpx.ASGITransport):
    """Behaves like the network: a failing app is a 500, and its context variables stay on its side.

    Each request runs in a task of its own; cancelling the caller cancels it. httpx's timeouts do nothing here, which
    is why the client sets its own.
    """

    def __init__(self, app: Any) -> None:
        super().__init__(app=app, raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await asyncio.create_task(super().handle_async_request(request))
