"""What every test may ask for. `tests/integration/conftest.py` adds the private RabbitMQ and PostgreSQL nodes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from adapters.database.database import Database
from service.settings import Log, read_settings
from service.telemetry import configure_logging
from tests.scratch import scratch_database

gc.set_threshold(
    50_000, 20, 20
)  # a test makes many objects and keeps few: looking less often saves a tenth of the time
DEMO = Path(__file__).parent.parent / "service" / "demo"


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of production."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def logging_as_in_production() -> None:
    """The real processors, so that a log call which they cannot render fails its test."""
    configure_logging(Log(format="json", level="info"))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty SQLite database with the current schema."""
    settings = read_settings(database={"url": scratch_database(tmp_path)})
    async with Database.connect(settings.database) as database:
        yield database
