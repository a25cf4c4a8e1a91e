"""An EHR that is down for hours: everything queues up meanwhile, and all of it is filed once the EHR is back.

Proven, for two workers: each visit has exactly one note; while it is down the EHR gets one request a pause from each
worker, once those under way have ended; from its first moment back until the last note no request makes more open at
once than the answers so far allow (`most_open`: 1, 2, 4, 8 for each worker, and its `concurrency` from then on; that
binds at the first requests, since the calls of one visit come one after the other); no worker grows by more than 150 MB.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from service.events.delivery import Delivery
from service.events.event import Origin, from_resource
from service.settings import read_settings
from tests.faults.ambient_stub import run_ambient_stub
from tests.faults.ehr import BASE, visit_name
from tests.faults.ehr_in_memory import run_ehr_in_memory, visit_of
from tests.faults.workers import ForkedProcess, start_server, start_worker
from tests.nodes.loopback import free_port

WORKERS, CONCURRENCY, RETRY_AFTER = 2, 8, 2
ALL_QUEUED = 3000
NOT_THERE = 8.0
"""Seconds for which nobody listens at the EHR's port, after it has answered 503 until every visit was begun."""


def most_open(answered: int) -> int:
    """What may be open at once in all workers together: one call each at first, in each twice as many after each answer.
    Most where one of them had all the answers, until it is full."""
    full, more = divmod(answered, CONCURRENCY.bit_length() - 1)
    return full * CONCURRENCY + 2**more + (WORKERS - full - 1) if full < WORKERS else WORKERS * CONCURRENCY


@dataclass
class Outage:
    """A database, an engine, workers, and the port of an EHR that `start_ehr` starts."""

    folder: Path
    database: Database
    database_url: str
    ehr_port: int
    parts: dict[str, Any]
    stub: httpx.AsyncClient
    workers: list[ForkedProcess]
    servers: list[ForkedProcess]

    async def queue(self, visits: int) -> None:
        """As intake would, a hundred visits in a commit."""
        inbox, base = SqlInbox(self.database), self.parts["ehr"]["base_url"]
        for first in range(0, visits, 100):
            some = [visit_of(visit_name(number)) for number in range(first, min(first + 100, visits))]
            events = [from_resource(resource, Origin(base, "")) for visit in some for resource in visit]
            await inbox.store(Delivery(orjson.dumps(first), transport="amqp"), events, base)

    async def start_ehr(self) -> ForkedProcess:
        """An empty one; returns once it listens."""
        ehr = await asyncio.to_thread(start_server, self.folder / "ehr.log", self.ehr_port, run_ehr_in_memory)
        self.servers.append(ehr)
        return ehr

    async def ask(self, method: str, path: str, content: Any = None) -> Any:
        answer = await self.stub.request(method, path, json=content)
        return answer.raise_for_status().json() if answer.content else None

    async def count(self, where: str) -> int:
        connection = await asyncpg.connect(self.database_url.replace("+asyncpg", ""))
        try:
            return int(await connection.fetchval(f"SELECT count(*) FROM visits WHERE {where}"))
        finally:
            await connection.close()

    async def until(self, where: str, count: int, seconds: float) -> float:
        """Seconds until so many visits are so."""
        began = time.monotonic()
        while (now := await self.count(where)) != count:
            assert time.monotonic() - began < seconds, f"{now} of {count} are {where}"
            assert all(worker.exit_code is None for worker in self.workers)
            await asyncio.sleep(0.5)
        return time.monotonic() - began

    def resident(self) -> list[int]:
        """MB of each worker."""
        status = [Path(f"/proc/{worker.pid}/status").read_text() for worker in self.workers]
        return [int(text.split("VmRSS:")[1].split()[0]) // 1024 for text in status]

    def parkings(self) -> int:
        lines = [line for worker in self.workers for line in worker.log.read_text().splitlines()]
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return sum(event["event"] == "destination_parked" for event in events)


@asynccontextmanager
async def open_outage(folder: Path, broker_url: str, database_url: str) -> AsyncIterator[Outage]:
    ehr_port, engine_port = free_port(), free_port()
    parts = {
        "broker": {"url": broker_url},
        "database": {"url": database_url},
        "engine": {"url": f"http://127.0.0.1:{engine_port}/v2"},
        "ehr": {"base_url": f"http://127.0.0.1:{ehr_port}{BASE}"},
        "worker": {"concurrency": CONCURRENCY, "poll": 0.5},
        "blobs": {"url": f"file:{folder}/blobs"},
        "http": {"port": 0},
        "log": {"format": "json", "level": "info"},
    }
    engine = start_server(folder / "engine.log", engine_port, run_ambient_stub)
    servers, workers = [engine], []
    async with (
        Database.connect(read_settings(database={"url": database_url}).database) as database,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{ehr_port}", timeout=60) as stub,
    ):
        try:
            await database.migrate()
            await stub.post(f"http://127.0.0.1:{engine_port}/_delay", json=[0, 0])
            workers += [start_worker(folder / f"worker-{number}.log", parts) for number in range(WORKERS)]
            yield Outage(folder, database, database_url, ehr_port, parts, stub, workers, servers)
        finally:
            for process in workers + servers:
                process.kill()


async def test_after_an_outage_of_the_ehr_everything_is_filed_and_nobody_rushes_in(
    tmp_path: Path, rabbitmq: str, postgres_url: str, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    visits = ALL_QUEUED if seconds >= 300 else int(seconds * 3)
    async with open_outage(tmp_path, rabbitmq, postgres_url) as outage:
        ehr = await outage.start_ehr()
        await outage.ask("POST", "/_faults", {"outage": "refuse", "retry_after": RETRY_AFTER})
        before, began = outage.resident(), time.monotonic()
        await outage.queue(visits)
        await outage.until("fence > 0", visits, seconds=900)
        await asyncio.sleep(5 * RETRY_AFTER)
        outage_stats, lasted = await outage.ask("GET", "/_stats"), time.monotonic() - began
        ehr.kill()
        await asyncio.sleep(NOT_THERE)
        await outage.start_ehr()
        took = await outage.until("state = 'done'", visits, seconds=1800)
        arrivals, stats = await outage.ask("GET", "/_arrivals"), await outage.ask("GET", "/_stats")
        notes, after = await outage.ask("GET", "/_notes"), outage.resident()
    figures = {
        "visits": visits, "seconds_of_503": round(lasted), "requests_meanwhile": outage_stats["requests"], "parkings": outage.parkings(),
        "seconds_to_file_all": round(took), "of_these_until_the_first_request": round(arrivals[0][0]),
        "requests_on_return": len(arrivals), "first_arrivals": arrivals[:12], "most_at_once": stats["most_at_once"],
        "resident_mb": [before, after],
    }  # fmt: skip
    with capsys.disabled():
        sys.stdout.write(f"\n{json.dumps(figures)}\n")
    assert sorted(notes) == [f"Encounter/{visit_name(number)}" for number in range(visits)]
    assert outage_stats["requests"] <= WORKERS * (CONCURRENCY + lasted / RETRY_AFTER)
    assert max(outage_stats["most_at_once"], stats["most_at_once"]) <= WORKERS * CONCURRENCY
    assert len(arrivals) == stats["requests"]
    too_many = [(n, opened) for n, (_, opened) in enumerate(arrivals, 1) if opened > most_open(n - opened)]
    assert not too_many, too_many[:10]
    assert max(after) - min(before) < 150
