"""What goes wrong in a storm, all at once: processes killed and frozen, nodes killed, links cut, servers that fail."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.faults.faulty import KINDS
from tests.faults.site import LEASE, Site
from tests.nodes.postgresql import PostgresNode
from tests.nodes.rabbitmq import RabbitNode

RATE = 0.03
"""Share of the requests that each kind of fault takes, of engine and EHR alike."""
HANG = LEASE * 0.8
"""Seconds; longer than any client waits, and over before a sweep."""
_AGE = 3.0
"""Seconds between a node's start and the next kill."""


class Chaos:
    """Goes on for `seconds`, and until every node that was killed is back; `counts` says what was done. Needs a broker whose queues are two seconds old."""

    def __init__(self, site: Site, rabbitmq: RabbitNode, postgresql: PostgresNode, seconds: float, seed: int) -> None:
        self._site = site
        self._rabbitmq, self._postgresql = rabbitmq, postgresql
        self._seconds, self._ends = seconds, time.monotonic() + seconds
        self._chance = random.Random(seed)
        self._spared: set[str] = set()
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Afterwards every process runs, every link is whole, and nothing fails by intention."""
        async with self._failing_servers(), asyncio.TaskGroup() as group:
            group.create_task(self._kill_workers())
            group.create_task(self._freeze_workers())
            group.create_task(self._break_links())
            group.create_task(self._restart_nodes())

    @asynccontextmanager
    async def _failing_servers(self) -> AsyncIterator[None]:
        servers = (self._site.engine, self._site.ehr)
        for server in servers:
            seed = self._chance.randrange(1000)
            (
                await server.post("/_faults", json={"rates": dict.fromkeys(KINDS, RATE), "hang": HANG, "seed": seed})
            ).raise_for_status()
        try:
            yield
        finally:
            for server in servers:
                (await server.post("/_faults", json={"rates": {}})).raise_for_status()

    async def _kill_workers(self) -> None:
        """One each second, and another in its place at once."""
        while await self._pause(1.0):
            name = self._chance.choice([name for name in self._site.workers if name not in self._spared])
            self._site.workers[name].kill()
            self._site.start_worker(name)
            self.counts["workers_killed"] += 1

    async def _freeze_workers(self) -> None:
        """Two at once for longer than a lease; woken, they have a few seconds in which to do harm."""
        while await self._pause(max(12.0, self._seconds / 20)):
            self._spared = set(self._chance.sample(sorted(self._site.workers), 2))
            frozen = [self._site.workers[name] for name in self._spared]
            for worker in frozen:
                worker.freeze()
            await asyncio.sleep(LEASE * self._chance.uniform(1.2, 2.0))
            for worker in frozen:
                worker.wake()
            self.counts["workers_frozen"] += len(frozen)
            await asyncio.sleep(2.0)
            self._spared = set()

    async def _break_links(self) -> None:
        while await self._pause(self._chance.uniform(2.0, 5.0)):
            link = self._chance.choice(list(self._site.links.values()))
            kind = self._chance.choice(["cut", "cut", "silence", "refuse", "slow"])
            match kind:
                case "slow":
                    link.slow(self._chance.uniform(0.02, 0.2))
                case "cut":
                    link.cut()
                case _:
                    getattr(link, kind)()
            self.counts[f"link_{kind}"] += 1
            await asyncio.sleep(self._chance.uniform(0.5, 4.0))
            link.heal()

    async def _restart_nodes(self) -> None:
        """One at a time: the broker twice, the database in between."""
        for node, share in ((self._rabbitmq, 0.25), (self._postgresql, 0.5), (self._rabbitmq, 0.7)):
            await asyncio.sleep(max(self._ends - self._seconds * (1 - share) - time.monotonic(), _AGE))
            await asyncio.to_thread(node.kill)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(node.start)
            self.counts["broker_restarts" if node is self._rabbitmq else "database_restarts"] += 1

    async def _pause(self, seconds: float) -> bool:
        """False when the storm is over before that."""
        if time.monotonic() + seconds > self._ends:
            await asyncio.sleep(max(self._ends - time.monotonic(), 0))
            return False
        await asyncio.sleep(seconds)
        return True
