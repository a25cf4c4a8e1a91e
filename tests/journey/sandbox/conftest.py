"""A sandbox EHR mounted as the outer app mounts it, on a real database, reached over HTTP in process."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from adapters.database.database import Database
from adapters.database.sandbox_store import SqlSandboxStore
from service.ambient.ports import StoredBlob
from service.sandbox.app import create_sandbox_app
from service.sandbox.context import Limits

BASE = "http://ehr.test/sandbox/fhir/R4"


class FolderBlobs:
    """Satisfies `service.ambient.ports.Blobs` as far as the sandbox uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def write(self, key: str, chunks: AsyncIterator[bytes], limit: int) -> StoredBlob:
        content = b"".join([chunk async for chunk in chunks])
        self._file(key).write_bytes(content)
        return StoredBlob(len(content), hashlib.sha256(content).hexdigest())

    async def read(self, key: str) -> AsyncIterator[bytes]:
        content = self._file(key).read_bytes()
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    async def delete(self, key: str) -> None:
        self._file(key).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self.folder / key.replace("/", "_")


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    folder = tmp_path / "blobs"
    folder.mkdir()
    return FolderBlobs(folder)


@pytest.fixture
async def ehr(database: Database, blobs: FolderBlobs) -> AsyncIterator[httpx.AsyncClient]:
    outer = FastAPI()
    limits = Limits(json=200_000, binary=100_000)
    outer.mount("/sandbox/fhir/R4", create_sandbox_app(SqlSandboxStore(database), blobs, BASE, limits))
    transport = httpx.ASGITransport(outer)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


@pytest.fixture
def note() -> dict[str, Any]:
    text = "AI-drafted. Die Patientin hustet seit drei Tagen. 🫁".encode()
    return {
        "resourceType": "DocumentReference",
        "identifier": [{"system": "urn:ambient-fhir:note", "value": "3f0c"}],
        "status": "current",
        "docStatus": "preliminary",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11506-3"}]},
        "subject": {"reference": "Patient/p1"},
        "date": "2026-11-22T10:00:00+01:00",
        "author": [{"reference": "Device/d1"}, {"reference": "Practitioner/dr1"}],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "data": base64.b64encode(text).decode(),
                    "size": len(text),
                    "hash": base64.b64encode(hashlib.sha1(text).digest()).decode(),
                }
            }
        ],
        "context": {"encounter": [{"reference": "Encounter/e1"}], "related": [{"reference": "Media/m1"}]},
    }
