"""A house whose broker goes away and comes back: its inlet and its probes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from tests.journey.hospital import open_hospital
from tests.nodes.rabbitmq import RabbitNode

SETTLED_AFTER = 2.2  # a quorum queue younger than about a second does not survive kill -9


def media(ident: str) -> dict[str, Any]:
    encounter = {"reference": f"Encounter/{ident}"}
    return {"resourceType": "Media", "id": ident, "status": "in-progress", "encounter": encounter}


async def until(client: httpx.AsyncClient, path: str, status: int, seconds: float = 20) -> None:
    await until_answered(lambda: client.get(path), status, seconds)


async def until_answered(ask: Callable[[], Awaitable[httpx.Response]], status: int, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while (await ask()).status_code != status:  # noqa: ASYNC110 - HTTP has nothing to wait on
            await asyncio.sleep(0.1)


async def test_events_are_refused_while_the_broker_is_away_and_taken_when_it_is_back(
    tmp_path: Path, rabbitmq: str, rabbitmq_node: RabbitNode
) -> None:
    async with open_hospital(tmp_path, broker={"url": rabbitmq}) as hospital:
        transport = httpx.ASGITransport(app=hospital.house.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await until(client, "/readyz", 200)
            await asyncio.sleep(SETTLED_AFTER)
            sending = asyncio.create_task(client.post("/events", json=media("during")))
            await asyncio.to_thread(rabbitmq_node.kill)
            during = await sending
            begun = time.monotonic()
            refused = await client.post("/events", json=media("refused"))
            assert time.monotonic() - begun < 5
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert during.status_code in (202, 503)
            assert (await client.get("/livez")).json() == {"event_loop": "ok", "consumer": "ok"}
            assert (await client.get("/readyz")).status_code == 503
            await asyncio.to_thread(rabbitmq_node.start)
            await until_answered(lambda: client.post("/events", json=media("taken")), 202)
            await until(client, "/visits/Encounter/taken", 200)
            await until(client, "/readyz", 200)
            assert (await client.get("/visits/Encounter/refused")).status_code == 404
            if during.status_code == 202:
                await until(client, "/visits/Encounter/during", 200)
