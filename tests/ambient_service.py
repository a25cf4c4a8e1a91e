"""The ambient API in process over a real database and a real folder; only the engine is scripted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from adapters.ambient.client import AmbientClient
from adapters.ambient.in_process import InProcess
from adapters.blobs.local_folder import LocalFolder
from adapters.database.ambient_store import SqlAmbientStore
from adapters.database.database import Database
from service.ambient.app import create_ambient_app
from service.ambient.rooms import AmbientRooms
from service.ambient.template_files import Templates, read_templates
from service.ambient.transcription import Recognisers
from tests.engines import AUDIO, QuotingWriter, ScriptedTranscriber

VISIT = {"encounter": {"identifier": "visit-1", "status": "planned", "type": "first_consultation"}}


def visit(**changes: Any) -> dict[str, Any]:
    """A body that creates an interaction; no two have the same identifier."""
    return {"encounter": {**VISIT["encounter"], "identifier": f"visit-{uuid4()}", **changes}}


@dataclass
class AmbientService:
    rooms: AmbientRooms
    http: httpx.AsyncClient
    transcriber: ScriptedTranscriber
    folder: Path

    @property
    def store(self) -> Any:
        return self.rooms.store

    def client(self, tenant: str = "base") -> AmbientClient:
        return AmbientClient(self.http, tenant=tenant, timeout=5)

    async def interaction(self, **headers: str) -> str:
        response = await self.http.post("interactions/", json=visit(), headers=headers)
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
    async with running_here as running:
        rooms = AmbientRooms(store, blobs, transcriber, QuotingWriter(), running, _bundled_templates(), **options)
        async with httpx.AsyncClient(transport=InProcess(_serving(rooms)), base_url="http://ambient.test/v2") as http:
            yield AmbientService(rooms, http, transcriber, folder)


@cache
def _bundled_templates() -> Templates:
    return read_templates()


_ROOMS: ContextVar[AmbientRooms] = ContextVar("rooms of this request")


class _OfThisRequest:
    def __getattr__(self, name: str) -> Any:
        return getattr(_ROOMS.get(), name)


@cache
def _shared_app() -> FastAPI:
    """Built once: FastAPI works out a route at its first request, which would cost each test more than its requests."""
    return create_ambient_app(cast(AmbientRooms, _OfThisRequest()))


def _serving(rooms: AmbientRooms) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        _ROOMS.set(rooms)
        await _shared_app()(scope, receive, send)

    return app


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Our own lines, before keys that are not allowed are dropped."""
    return [record.msg for record in caplog.records if isinstance(record.msg, dict)]


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
