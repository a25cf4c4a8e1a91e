"""The ambient API in process over a real database and a real folder; only the engine is scripted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from structlog.testing import capture_logs

from adapters.ambient.client import AmbientClient
from adapters.ambient.in_process import InProcess
from adapters.blobs.local_folder import LocalFolder
from adapters.database.ambient_store import SqlAmbientStore
from adapters.database.database import Database
from service.ambient.app import create_ambient_app
from service.ambient.rooms import AmbientRooms
from service.ambient.transcription import Recognisers
from tests.engines import AUDIO, QuotingWriter, ScriptedTranscriber

VISIT = {"encounter": {"identifier": "visit-1", "status": "planned", "type": "first_consultation"}}


@dataclass
class AmbientService:
    rooms: AmbientRooms
    http: httpx.AsyncClient
    transcriber: ScriptedTranscriber
    folder: Path
    logs: list[Any]

    @property
    def store(self) -> Any:
        return self.rooms.store

    def client(self, tenant: str = "base") -> AmbientClient:
        return AmbientClient(self.http, tenant=tenant, timeout=5)

    async def interaction(self, **headers: str) -> str:
        response = await self.http.post("interactions/", json=VISIT, headers=headers)
        return str(response.json()["interactionId"])

    async def recording(self, interaction: str) -> str:
        response = await self.http.post(f"interactions/{interaction}/recordings/", content=AUDIO)
        return str(response.json()["recordingId"])

    def blobs_kept(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]


@asynccontextmanager
async def ambient_service(
    database: Database, folder: Path, *, recognisers: int = 1, lease_seconds: float = 60.0, **options: Any
) -> AsyncIterator[AmbientService]:
    transcriber = options.pop("transcriber", None) or ScriptedTranscriber()
    store, blobs = SqlAmbientStore(database), LocalFolder(folder)
    running_here = Recognisers.running(store, blobs, transcriber, recognisers, lease_seconds)
    with capture_logs() as logs:
        async with running_here as running:
            rooms = AmbientRooms(store, blobs, transcriber, QuotingWriter(), running, **options)
            app = create_ambient_app(rooms)
            async with httpx.AsyncClient(transport=InProcess(app), base_url="http://ambient.test/v2") as http:
                yield AmbientService(rooms, http, transcriber, folder, logs)


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
