"""Where the fault runs happen: broker, database, engine and EHR behind links that can be cut, and workers among them.

| link | to |
|---|---|
| `broker` | the private RabbitMQ node |
| `database` | the private PostgreSQL node |
| `engine` | `ambient_stub.py` |
| `ehr` | `ehr.py` |
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx

from service.main import migrated
from service.settings import read_settings
from tests.faults.ambient_stub import run_ambient_stub
from tests.faults.ehr import BASE, run_ehr
from tests.faults.proxy import Link, proxy
from tests.faults.workers import ForkedProcess, start_server, start_worker
from tests.nodes.loopback import free_port

LEASE = 3.0


@dataclass
class Site:
    """`parts` are the workers' settings. `engine` and `ehr` are clients for the servers' own paths (`/_faults`, …), past
    the links; `broker_url` and `database_url` lead past them, too."""

    folder: Path
    links: dict[str, Link]
    parts: dict[str, dict[str, Any]]
    engine: httpx.AsyncClient
    ehr: httpx.AsyncClient
    broker_url: str
    database_url: str
    workers: dict[str, ForkedProcess] = field(default_factory=dict)
    exits: int = 0

    def start_worker(self, name: str) -> ForkedProcess:
        """In the place of the one with this name, if any; its log goes on in the same file."""
        self.workers[name] = start_worker(self.folder / f"{name}.log", self.parts)
        return self.workers[name]

    async def supervise(self) -> None:
        """For ever: a worker that ended by itself (one does when no broker lets it in) is started again, as an
        orchestrator would. `exits` counts them."""
        while True:
            await asyncio.sleep(0.5)
            for name in [name for name, worker in self.workers.items() if worker.exit_code is not None]:
                self.exits += 1
                self.start_worker(name)

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """What the database answers, by a connection of its own."""
        connection = await asyncpg.connect(self.database_url.replace("+asyncpg", ""), timeout=10)
        try:
            return [dict(row) for row in await connection.fetch(query, timeout=30)]
        finally:
            await connection.close(timeout=10)

    def heal_links(self) -> None:
        for link in self.links.values():
            link.heal()


@asynccontextmanager
async def open_site(broker_url: str, database_url: str, **parts: dict[str, Any]) -> AsyncIterator[Site]:
    """A migrated database, and nothing in it; no worker runs yet. `parts` are laid over the workers' settings."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(_scratch_folder())
        links = stack.enter_context(proxy())
        ports = {"broker": urlsplit(broker_url).port, "database": urlsplit(database_url).port}
        ports |= {"engine": free_port(), "ehr": free_port()}
        through = {name: links.add(name, port) for name, port in ports.items() if port}
        ehr_url = f"http://127.0.0.1:{through['ehr'].port}{BASE}"
        engine = start_server(folder / "engine.log", ports["engine"], run_ambient_stub)
        stack.callback(engine.kill)
        ehr = start_server(folder / "ehr.log", ports["ehr"], run_ehr, ehr_url, folder)
        stack.callback(ehr.kill)
        settings = {
            "broker": {"url": _at(broker_url, through["broker"])},
            "database": {"url": _at(database_url, through["database"])},
            "engine": {"url": f"http://127.0.0.1:{through['engine'].port}/v2", "timeout": LEASE / 2},
            "ehr": {"base_url": ehr_url, "timeout": LEASE / 2},
            "worker": {"lease": LEASE, "poll": 0.5},
            "blobs": {"url": f"file:{folder}/blobs"},
            "http": {"port": 0},
            "log": {"format": "json", "level": "info"},
        }
        settings = {name: {**settings.get(name, {}), **parts.get(name, {})} for name in {**settings, **parts}}
        await migrated(read_settings(database={"url": database_url}))
        clients = [
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[name]}", timeout=60) for name in ("engine", "ehr")
        ]
        for client in clients:
            await stack.enter_async_context(client)
        site = Site(folder, through, settings, clients[0], clients[1], broker_url, database_url)
        stack.callback(_kill_all, site)
        yield site


def _at(url: str, link: Link) -> str:
    """The URL with the link's port."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{link.port}")))


def _kill_all(site: Site) -> None:
    for worker in site.workers.values():
        worker.wake()
        worker.kill()


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """In memory where there is enough of it: SQLite's fsyncs are not what is tested. Kept when the run failed."""
    memory = Path("/dev/shm")
    free = shutil.disk_usage(memory).free if os.access(memory, os.W_OK) else 0
    folder = Path(tempfile.mkdtemp(prefix="ambient-faults-", dir=memory if free > 1e9 else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
