"""A rolling upgrade: a worker of v0.1.0 beside one of this version, on the schema and the queue of this version."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import tarfile
import time
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.main import migrated, open_house
from service.settings import read_settings
from tests.engines import CONSULTATION, ScriptedTranscriber
from tests.integration.processes import ServiceProcess, start
from tests.journey.hospital import Hospital
from tests.nodes.loopback import free_port

pytestmark = pytest.mark.slow

V0_1_0 = "3350d57f2b1d3a3186dfbfa7a274eb27cd9ef259"
ROOT = Path(__file__).parents[2]
VISITS = 6
Start = Callable[[], ServiceProcess]


def silence() -> str:
    """A second of it on two channels, which every version can probe, as Binary.data."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(4 * 8000))
    return base64.b64encode(content.getvalue()).decode()


class HearsTheConsultation(ScriptedTranscriber):
    """In whatever is played to it."""

    def transcribe(self, *_: Any) -> list[Any]:
        return list(CONSULTATION)


@pytest.fixture
def old_code(tmp_path: Path) -> Path:
    """The packages of v0.1.0: the folder in which `python -m service` is started comes before what is installed.

    A clone without the history skips; where CI is set it fails, since nobody reads what was skipped there.
    """
    folder = tmp_path / "v0.1.0"
    archive = ["git", "-C", str(ROOT), "archive", V0_1_0, "service", "adapters"]
    try:
        packed = subprocess.run(archive, capture_output=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        needed = f"needs git and the commit {V0_1_0} (v0.1.0) in this clone"
        if os.environ.get("CI"):
            pytest.fail(needed)
        pytest.skip(needed)
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.fixture
async def settings(tmp_path: Path, rabbitmq: str, postgres_url: str) -> dict[str, Any]:
    given = {
        "database": {"url": postgres_url},
        "broker": {"url": rabbitmq},
        "blobs": {"url": f"file:{tmp_path}/blobs"},
        "http": {"port": free_port()},
        "worker": {"lease": "3s", "poll": "200ms", "concurrency": 2},
        "log": {"level": "info", "format": "json"},
    }
    await migrated(read_settings(**given))
    return given


@pytest.fixture
async def hospital(settings: dict[str, Any]) -> AsyncIterator[Hospital]:
    """The API of this version, with its recognisers and the sandbox EHR; it works on no visit."""
    async with open_house(read_settings(**settings), "api", HearsTheConsultation()) as house:
        yield Hospital(house)


@pytest.fixture
def workers(tmp_path: Path, settings: dict[str, Any], old_code: Path) -> Iterator[tuple[Start, Start]]:
    """How to start one of v0.1.0, and one of this version."""
    variables = {
        f"{part}__{name}".upper(): value for part, values in settings.items() for name, value in values.items()
    }
    with ExitStack() as running:

        def worker(code: Path) -> ServiceProcess:
            port = free_port()
            return running.enter_context(start(tmp_path, "worker", port, code=code, OPS__PORT=port, **variables))

        yield lambda: worker(old_code), lambda: worker(ROOT)


def steps_done(worker: ServiceProcess) -> int:
    return worker.log.read_text().count('"step_done"')


def wait_for_steps(worker: ServiceProcess, count: int, seconds: float = 20) -> None:
    give_up = time.monotonic() + seconds
    while steps_done(worker) < count:
        assert time.monotonic() < give_up, worker.log.read_text()[-2000:]
        time.sleep(0.01)


class Day:
    """Six visits, told to whichever workers there are."""

    def __init__(self, hospital: Hospital, name: str) -> None:
        self.hospital = hospital
        self.encounters = [f"{name}{n}" for n in range(VISITS)]

    async def begin(self) -> None:
        for encounter in self.encounters:
            events = [
                await self.hospital.admit(encounter),
                await self.hospital.record(f"m-{encounter}", encounter=encounter),
            ]
            sound = {"resourceType": "Binary", "id": f"b-m-{encounter}", "contentType": "audio/wav", "data": silence()}
            await self.hospital.put(sound)
            for event in events:
                await self.hospital.house.broker.publish(
                    json.dumps(event).encode(), routing_key=f"fhir.{event['resourceType']}.create",
                    content_type="application/fhir+json", message_id=f"{event['resourceType']}/{event['id']}", headers={},
                )  # fmt: skip

    async def done(self) -> int:
        shown = [await self.hospital.house.visits.show_visit(f"Encounter/{encounter}") for encounter in self.encounters]
        return sum(visit is not None and visit["state"] == "done" for visit in shown)

    async def ends_with_one_note_each(self) -> None:
        house = self.hospital.house
        transport = httpx.ASGITransport(house.app)
        async with httpx.AsyncClient(transport=transport, base_url=house.ehr.base_url + "/") as ehr:
            for encounter in self.encounters:
                await self.hospital.until("done", f"Encounter/{encounter}", seconds=40)
                found = await ehr.get("DocumentReference", params={"encounter": f"Encounter/{encounter}"})
                notes = [entry["resource"]["status"] for entry in found.json()["entry"]]
                assert notes == ["current"], encounter


async def test_old_and_new_share_the_work_and_each_finishes_what_the_other_was_killed_at(
    hospital: Hospital, workers: tuple[Start, Start]
) -> None:
    start_old, start_new = workers
    old, new = start_old(), start_new()

    together = Day(hospital, "both")
    await together.begin()
    await together.ends_with_one_note_each()
    assert steps_done(old) > 0
    assert steps_done(new) > 0

    new_killed, so_far = Day(hospital, "old"), steps_done(new)
    await new_killed.begin()
    wait_for_steps(new, so_far + 3)
    new.kill()
    assert await new_killed.done() < VISITS
    await new_killed.ends_with_one_note_each()

    new, so_far = start_new(), steps_done(old)
    old_killed = Day(hospital, "new")
    await old_killed.begin()
    wait_for_steps(old, so_far + 3)
    old.kill()
    assert await old_killed.done() < VISITS
    await old_killed.ends_with_one_note_each()
