"""Killed with SIGKILL at every point of a visit's way, and taken up by another process: nothing tells that it happened.

A visit of two recordings, the second of which comes after the first note was filed: so each step is taken, and the first
note is superseded. What stands in the end, in the database, at the ambient API and in the EHR, is compared with what an
undisturbed run leaves.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from adapters.database.database import Database
from adapters.database.records import SqlVisitRecords
from service.main import migrated
from service.settings import read_settings
from service.workflow.steps import STEPS
from tests.faults.ambient_stub import run_ambient_stub
from tests.faults.crash_points import EFFECTS, POINTS, visit_until_killed
from tests.faults.ehr import BASE, run_ehr, visit_name
from tests.faults.workers import ForkedProcess, start_server
from tests.nodes.loopback import free_port
from tests.nodes.postgresql import PostgresNode
from tests.scratch import scratch_database

pytestmark = pytest.mark.slow

DATABASES = ("sqlite", "postgresql")
UNDISTURBED = "undisturbed"
AT_ONCE = 4
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ending:
    """How the process under test ended, and what stands where after the visit is done."""

    killed: bool
    left: Json


class Matrix:
    """Every case has its own visit and database; engine and EHR are the same."""

    def __init__(self, folder: Path, node: PostgresNode) -> None:
        self._folder = folder
        self._node = node
        self._engine, self._ehr = free_port(), free_port()
        self._base = f"http://127.0.0.1:{self._ehr}{BASE}"
        self.servers = [
            start_server(folder / "engine.log", self._engine, run_ambient_stub),
            start_server(folder / "ehr.log", self._ehr, run_ehr, self._base, folder),
        ]
        self._profile = folder / "contents-apart.yaml"
        self._profile.write_text("name: contents-apart\nextends: us-core\ninline: false\n")
        self._http = httpx.Client(timeout=30, trust_env=False)
        self._http.post(f"http://127.0.0.1:{self._engine}/_delay", json=[0.05, 0.1])

    def close(self) -> None:
        self._http.close()
        for server in self.servers:
            server.kill()

    def run(self, number: int, database: str, point: str) -> Ending:
        folder = self._folder / f"case-{number}"
        folder.mkdir()
        parts = self._parts(folder, number, database)
        phases = self._load(number)
        killed = False
        if point != UNDISTURBED:
            victim = ForkedProcess(folder / "victim.log", visit_until_killed, parts, phases, point)
            killed = _ended(victim, folder) == -signal.SIGKILL
        assert _ended(ForkedProcess(folder / "heir.log", visit_until_killed, parts, phases, None), folder) == 0
        return Ending(killed, self._left(number, parts))

    def _parts(self, folder: Path, number: int, database: str) -> Json:
        return {
            "database": {"url": scratch_database(folder) if database == "sqlite" else self._copy(number)},
            "blobs": {"url": f"file:{folder}/blobs"},
            "engine": {"url": f"http://127.0.0.1:{self._engine}/v2", "recognisers": 0},
            "ehr": {"base_url": self._base, "profile": str(self._profile)},
            "worker": {"lease": 2.0, "poll": 0.2},
            "log": {"format": "json"},
        }

    def migrate(self) -> None:
        self._administer("CREATE DATABASE matrix")
        asyncio.run(migrated(read_settings(database={"url": self._node.url("matrix")})))

    def _copy(self, number: int) -> str:
        self._administer(f"CREATE DATABASE matrix_{number} TEMPLATE matrix")
        return self._node.url(f"matrix_{number}")

    def _administer(self, statement: str) -> None:
        async def go() -> None:
            connection = await asyncpg.connect(self._node.url(driver=""))
            await connection.execute("SELECT pg_advisory_lock(1)")  # a template is copied by one at a time
            await connection.execute(statement)
            await connection.close()

        asyncio.run(go())

    def _load(self, number: int) -> list[list[Json]]:
        """In the EHR, and to be told in two phases."""
        wanted = {"first": number, "visits": 1, "media": 2, "status": "finished"}
        told = self._http.post(f"http://127.0.0.1:{self._ehr}/_load", json=wanted).json()
        name = visit_name(number)
        return [[told[f"Encounter/{name}"], told[f"Media/{name}-1"]], [told[f"Media/{name}-2"]]]

    def _left(self, number: int, parts: Json) -> Json:
        """Without ids and times."""
        encounter = f"Encounter/{visit_name(number)}"
        visit = asyncio.run(_shown(parts, encounter))
        census = self._http.get(f"http://127.0.0.1:{self._engine}/_census").json()["encounters"][visit["id"]]
        notes = self._http.get(f"http://127.0.0.1:{self._ehr}/_notes").json()
        return {
            "state": visit["state"],
            "steps": sorted(f"{s['name'].partition(':')[0]}:{bool(s['finishedAt'])}" for s in visit["steps"]),
            "facts": len(visit["facts"]),
            "engine": [{kind: len(one[kind]) for kind in one if kind != "id"} for one in census],
            "notes": [
                [note["status"], note["patient"].endswith(visit_name(number)), note["text"].count("recording"), len(note["replaces"])]
                for note in notes if note["encounter"] == encounter
            ],
        }  # fmt: skip


async def _shown(parts: Json, encounter: str) -> Json:
    async with Database.connect(read_settings(database=parts["database"]).database) as database:
        return await SqlVisitRecords(database).show_visit(encounter) or {}


def _ended(process: ForkedProcess, folder: Path) -> int | None:
    """Its exit code."""
    process.join(60)
    if process.exit_code is None:
        process.kill()
        words = "\n".join(log.read_text()[-3000:] for log in folder.glob("*.log"))
        raise AssertionError(f"the visit came to no end: {words}")
    return process.exit_code


@pytest.fixture(scope="module")
def endings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql_node: PostgresNode
) -> Iterator[Callable[[str, str], Ending]]:
    """Cases mostly wait, so several run at once, in the order in which they are asked for."""
    matrix = Matrix(tmp_path_factory.mktemp("matrix"), postgresql_node)
    matrix.migrate()
    cases = [(database, UNDISTURBED) for database in DATABASES] + _chosen(request.session.items)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        running: dict[tuple[str, str], Future[Ending]] = {
            case: threads.submit(matrix.run, number, *case) for number, case in enumerate(cases, 1)
        }
        yield lambda database, point: running[database, point].result()
        threads.shutdown(cancel_futures=True)
    matrix.close()


def _chosen(items: list[pytest.Item]) -> list[tuple[str, str]]:
    """What this session's tests will ask for."""
    asked = [item.callspec.params for item in items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    return [(given["database"], given["point"]) for given in asked if given.keys() == {"database", "point"}]


@pytest.mark.parametrize("database", DATABASES)
def test_an_undisturbed_visit_leaves_one_current_note_and_nothing_twice(
    endings: Callable[[str, str], Ending], database: str
) -> None:
    left = endings(database, UNDISTURBED).left
    assert left["state"] == "done"
    assert left["engine"] == [{"recordings": 2, "transcripts": 2, "documents": 2}]
    assert left["notes"] == [["superseded", True, 1, 0], ["current", True, 2, 1]]
    assert {step.partition(":")[0] for step in left["steps"]} == set(STEPS)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("database", DATABASES)
def test_a_visit_killed_there_ends_as_if_nothing_had_happened(
    endings: Callable[[str, str], Ending], database: str, point: str
) -> None:
    ending = endings(database, point)
    assert ending.killed
    assert ending.left == endings(database, UNDISTURBED).left


def test_no_step_is_forgotten() -> None:
    assert tuple(EFFECTS) == STEPS
