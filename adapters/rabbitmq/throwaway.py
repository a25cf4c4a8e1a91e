"""A channel for one question. The broker answers a refusal by closing the channel, so a question never shares one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiormq.abc
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelInvalidStateError

ANSWER_WITHIN = 5.0


@asynccontextmanager
async def throwaway_channel(connection: AbstractConnection) -> AsyncIterator[aiormq.abc.AbstractChannel]:
    """Below aio-pika's robust layer, which would open a refused channel again.

    Raises TimeoutError when opening, asking and closing take longer than `ANSWER_WITHIN` seconds together, and the
    client's own errors.
    """
    transport = connection.transport
    if transport is None or not connection.connected.is_set():
        raise ChannelInvalidStateError("not connected")
    async with asyncio.timeout(ANSWER_WITHIN):
        channel = await transport.connection.channel(publisher_confirms=False)
        try:
            yield channel
        finally:
            if not channel.is_closed:
                await channel.close()
