"""The load generator, a process of its own: `python -m bench.load BASE_URL KIND SECONDS CLIENTS`, one JSON line out.

KIND `list` asks for the newest interactions; `mixed` creates, gets, lists and changes in turn. One client asks every
10 ms; several ask without a pause.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import aiohttp
import uvloop

PACE = 0.01


def visit() -> dict[str, Any]:
    return {"encounter": {"identifier": f"visit-{uuid4()}", "status": "planned", "type": "first_consultation"}}


class Load:
    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self.seconds: list[float] = []
        self.failures: Counter[str] = Counter()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        began = time.perf_counter()
        try:
            async with self._http.request(method, path, json=body) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures[type(error).__name__] += 1
            return None
        self.seconds.append(time.perf_counter() - began)
        if answer.status >= 300:
            self.failures[f"{method} {answer.status}"] += 1
            return None
        return json.loads(content) if content else None

    async def list(self) -> None:
        await self.ask("GET", "interactions/")

    async def mixed(self) -> None:
        made = await self.ask("POST", "interactions/", visit())
        if made:
            one = f"interactions/{made['interactionId']}"
            await self.ask("GET", one)
            await self.list()
            await self.ask("PATCH", one, {"encounter": {"status": "in-progress"}})


async def main(base: str, kind: str, seconds: float, clients: int) -> None:
    headers = {"Tenant-Name": "base"}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(base, headers=headers, connector=connector, timeout=timeout) as http:
        load = Load(http)
        once: Callable[[], Awaitable[None]] = {"list": load.list, "mixed": load.mixed}[kind]
        began = time.monotonic()

        async def client() -> None:
            while time.monotonic() < began + seconds:
                await once()
                if clients == 1:
                    await asyncio.sleep(PACE)

        await asyncio.gather(*(client() for _ in range(clients)))
        took = time.monotonic() - began
    print(json.dumps({"took": took, "ms": [round(s * 1000, 3) for s in load.seconds], "failures": load.failures}))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
