from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.journey.hospital import Hospital, open_hospital


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    async with open_hospital(tmp_path) as hospital:
        yield hospital


@pytest.fixture
async def http(hospital: Hospital) -> AsyncIterator[httpx.AsyncClient]:
    async with hospital.http() as http:
        yield http
