"""A house whose EHR is an emulated one, on a real socket, and whose engine answers at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.ehrs.chart import visit_of
from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.serving import serving
from tests.ehrs.wire import BASE
from tests.faults.ambient_stub import AmbientStub
from tests.faults.asgi import App
from tests.journey.hospital import Hospital, open_hospital


class AtOnce(AmbientStub):
    """An engine whose transcripts are ready when they are asked for."""

    def ready_at(self) -> float:
        return 0.0


@asynccontextmanager
async def open_house_at(
    ehr: EmulatedEhr, profile: str, folder: Path, *, through: App | None = None, lease: float = 10.0, **settings: Any
) -> AsyncIterator[Hospital]:
    """`through`: an app around the EHR that its requests go to. `settings` are of the EHR."""
    async with serving(through or ehr) as url, serving(AtOnce()) as engine:
        ehr.base_url = url + BASE
        parts = {
            "ehr": {"base_url": ehr.base_url, "profile": profile, "timeout": 0.5, "index_lag": 0.0, **settings},
            "engine": {"url": f"{engine}/v2"},
            "worker": {"poll": 0.1, "lease": lease},
        }
        async with open_hospital(folder, **parts) as hospital:
            yield hospital


async def tell_of(hospital: Hospital, name: str) -> str:
    """Publishes the events of a visit; returns its key."""
    await hospital.tell(*visit_of(name))
    return f"Encounter/{name}"


async def again(hospital: Hospital, key: str) -> None:
    """Makes the visit due now."""
    await hospital.house.visits.retry_visit(key)
    hospital.house.wake.set()
