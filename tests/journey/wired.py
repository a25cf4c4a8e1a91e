"""A hospital whose EHR is on a socket, and answers as a test wants it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.database.database import Database
from service.settings import read_settings
from tests.ehrs.scripted import Scripted
from tests.ehrs.serving import serving
from tests.ehrs.wire import BASE
from tests.faults.ehr import Ehr
from tests.journey.hospital import Hospital, open_hospital
from tests.scratch import scratch_database


@asynccontextmanager
async def open_wired(folder: Path, *, notes: Any = None, **ehr: Any) -> AsyncIterator[tuple[Hospital, Scripted]]:
    """The EHR is the sandbox, with a database of its own."""
    there = folder / "ehr"
    there.mkdir(exist_ok=True)
    async with Database.connect(read_settings(database={"url": scratch_database(there)}).database) as database:
        wire = Scripted(_nothing)
        async with serving(wire) as url:
            wire.app = Ehr(database, url + BASE)
            async with open_hospital(folder, ehr={"base_url": url + BASE, **ehr}, notes=notes or {}) as hospital:
                yield hospital, wire


async def _nothing(*_: Any) -> None:
    raise AssertionError("nobody calls before the EHR is there")


async def due_again(hospital: Hospital) -> None:
    await hospital.house.visits.retry_visit("Encounter/e1")
    hospital.house.wake.set()
