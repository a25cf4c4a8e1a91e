"""The ambient API killed with SIGKILL in the middle of its work, and started again on what is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.blobs.local_folder import LocalFolder
from adapters.database.ambient_store import SqlAmbientStore
from adapters.database.database import Database
from service.ambient.sweeping import sweep
from service.settings import read_settings
from tests.ambient_service import visit
from tests.conftest import DEMO
from tests.integration.processes import ServiceProcess, start
from tests.nodes.loopback import free_port

pytestmark = pytest.mark.slow

RECORDING = (DEMO / "consult_two_channel.ogg").read_bytes()
SAID = {"type": "transcript", "data": {"text": "I have had a cough for ten days."}}
DOCUMENT = {"context": [SAID], "templateKey": "corti-soap", "outputLanguage": "en"}


class Clinic:
    """One service on one database and one folder, as often as it is started."""

    def __init__(self, folder: Path, database: str | None = None, **settings: object) -> None:
        self.folder = folder
        self.port = free_port()
        self.database = database or f"sqlite+aiosqlite:///{folder}/ambient.db"
        self.settings = {
            "HTTP__PORT": self.port,
            "DATABASE__URL": self.database,
            "BLOBS__URL": f"file:{folder}/blobs",
            **settings,
        }
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}/v2/", timeout=60)

    def start(self) -> ServiceProcess:
        return start(self.folder, "serve", self.port, **self.settings)

    async def interaction(self) -> str:
        return f"interactions/{(await self.http.post('interactions/', json=visit())).json()['interactionId']}/"

    async def sweep(self) -> int:
        async with Database.connect(read_settings(database={"url": self.database}).database) as database:
            return await sweep(SqlAmbientStore(database), LocalFolder(self.folder / "blobs"), -1)

    def files(self) -> list[Path]:
        return [path for path in (self.folder / "blobs").rglob("*") if path.is_file()]


async def until(true: Callable[[], Any], seconds: float = 60) -> None:
    for _ in range(int(seconds / 0.05)):
        found = true()
        if await found if asyncio.iscoroutine(found) else found:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never came true")


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[Clinic]:
    """On SQLite, without recognisers."""
    clinic = Clinic(tmp_path, ENGINE__RECOGNISERS=0)
    async with clinic.http:
        yield clinic


async def test_a_transcription_that_was_killed_completes_after_a_restart(tmp_path: Path) -> None:
    await _killed_and_started_again(Clinic(tmp_path, ENGINE__RECOGNISERS=1))


async def test_so_it_does_on_postgresql_once_its_lease_has_run_out(tmp_path: Path, postgres_url: str) -> None:
    await _killed_and_started_again(Clinic(tmp_path, postgres_url, ENGINE__RECOGNISERS=1))


async def _killed_and_started_again(clinic: Clinic) -> None:
    async with clinic.http:
        await _killed_and_resumed(clinic)


async def _killed_and_resumed(clinic: Clinic) -> None:
    with clinic.start() as process:
        path = await clinic.interaction()
        recording = (await clinic.http.post(f"{path}recordings/", content=RECORDING)).json()["recordingId"]
        body = {"recordingId": recording, "primaryLanguage": "en", "isMultichannel": True, "async": True}
        status = f"{path}transcripts/{(await clinic.http.post(f'{path}transcripts/', json=body)).json()['id']}/status"

        async def is_worked_on() -> bool:
            return bool((await clinic.http.get(status)).json()["progress"] > 0)

        await until(is_worked_on)
        process.kill()
    with clinic.start() as process:
        assert (await clinic.http.get(status)).json()["status"] == "processing"

        async def is_completed() -> bool:
            return bool((await clinic.http.get(status)).json()["status"] == "completed")

        await until(is_completed, 120)
        transcript = (await clinic.http.get(status.removesuffix("/status"))).json()
        assert "cough" in " ".join(segment["text"] for segment in transcript["transcripts"]).lower()
        assert process.stop() == 0


@pytest.mark.parametrize("sent", [0.5, 1.0], ids=["half", "all but its end"])
async def test_an_upload_that_was_killed_is_never_seen_and_what_it_left_is_swept(clinic: Clinic, sent: float) -> None:
    large, all_sent = RECORDING * 30, asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield large[: int(len(large) * sent)]
        all_sent.set()
        await asyncio.sleep(60)

    with clinic.start() as process:
        path = await clinic.interaction()
        whole = (await clinic.http.post(f"{path}recordings/", content=RECORDING)).json()["recordingId"]
        upload = asyncio.create_task(clinic.http.post(f"{path}recordings/", content=body()))
        await all_sent.wait()
        await until(lambda: any(file.suffix == ".part" and file.stat().st_size > 0 for file in clinic.files()))
        assert (await clinic.http.get(f"{path}recordings/")).json() == {"recordings": [whole]}
        process.kill()
        upload.cancel()
    assert len(clinic.files()) == 2
    with clinic.start() as process:
        assert (await clinic.http.get(f"{path}recordings/")).json() == {"recordings": [whole]}
        assert await clinic.sweep() == 1
        assert [file.name for file in clinic.files()] == [whole]
        assert (await clinic.http.get(f"{path}recordings/{whole}")).content == RECORDING
        assert process.stop() == 0


async def test_uploads_killed_at_any_moment_leave_whole_recordings_or_none(clinic: Clinic) -> None:
    """Four callers upload one recording after the other; the kill comes in between, at whatever they are at."""
    with clinic.start() as process:
        path, acknowledged = await clinic.interaction(), []

        async def caller() -> None:
            while True:
                acknowledged.append((await clinic.http.post(f"{path}recordings/", content=RECORDING)).json()["recordingId"])  # fmt: skip

        callers = [asyncio.create_task(caller()) for _ in range(4)]
        await until(lambda: len(acknowledged) > 20)
        process.kill()
        await asyncio.gather(*callers, return_exceptions=True)
    with clinic.start() as process:
        await clinic.sweep()
        listed = (await clinic.http.get(f"{path}recordings/")).json()["recordings"]
        assert set(acknowledged) <= set(listed)
        assert sorted(file.name for file in clinic.files()) == sorted(listed)
        for recording in listed:
            assert (await clinic.http.get(f"{path}recordings/{recording}")).content == RECORDING
        assert process.stop() == 0


async def test_documents_killed_at_any_moment_are_whole_or_not_there(clinic: Clinic) -> None:
    with clinic.start() as process:
        path, acknowledged = await clinic.interaction(), {}

        async def caller() -> None:
            while True:
                made = (await clinic.http.post(f"{path}documents/", json=DOCUMENT)).json()
                acknowledged[made["id"]] = made["sections"]

        callers = [asyncio.create_task(caller()) for _ in range(4)]
        await until(lambda: len(acknowledged) > 10)
        process.kill()
        await asyncio.gather(*callers, return_exceptions=True)
    with clinic.start() as process:
        listed = (await clinic.http.get(f"{path}documents/")).json()["data"]
        whole = next(iter(acknowledged.values()))
        texts = [[(section["key"], section["text"]) for section in document["sections"]] for document in listed]
        assert all(text == [(section["key"], section["text"]) for section in whole] for text in texts)
        assert set(acknowledged) <= {document["id"] for document in listed}
        assert process.stop() == 0
