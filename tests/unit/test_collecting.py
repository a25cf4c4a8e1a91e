"""Collecting dead letters beside the work."""

from __future__ import annotations

import asyncio
import time

from adapters.rabbitmq.dead_letters import collect
from service.workflow.dead_letters import collecting


async def test_a_broker_that_says_nothing_holds_up_no_stop() -> None:
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        while await reader.read(100):
            pass
        writer.close()
        hung_up.set()

    async def keep(*_: object) -> None: ...

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with asyncio.timeout(10):
            async with collecting(lambda: collect(f"amqp://a:b@{host}:{port}/", keep)):
                await asked.wait()
                began = time.monotonic()
            assert time.monotonic() - began < 4
            await hung_up.wait()
            asked.clear()
        server.close()
    await asyncio.sleep(2.2)
    assert not asked.is_set(), "nobody waits for an answer any more"
