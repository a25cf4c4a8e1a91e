"""Stopping in the middle of a visit: the step under way ends, the visit is given back, and the next start finishes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.ehr.client import EhrClient
from tests.journey.hospital import open_hospital


@pytest.fixture
def slow_audio(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """An EHR that is half a second late with its audio; the event is set once it was asked."""
    asked, plain = asyncio.Event(), EhrClient.open_audio

    @asynccontextmanager
    async def late(self: EhrClient, attachment: Any) -> AsyncIterator[Any]:
        asked.set()
        await asyncio.sleep(0.5)
        async with plain(self, attachment) as audio:
            yield audio

    monkeypatch.setattr(EhrClient, "open_audio", late)
    return asked


async def test_a_visit_that_was_under_way_is_finished_by_the_next_process(
    tmp_path: Path, slow_audio: asyncio.Event
) -> None:
    async with open_hospital(tmp_path) as hospital:
        await hospital.tell(await hospital.admit(), await hospital.record())
        await asyncio.wait_for(slow_audio.wait(), 5)
    async with open_hospital(tmp_path) as hospital:
        visit = await hospital.until("done")
        assert len(await hospital.notes()) == 1
        assert {step["name"].split(":")[0]: step["attempts"] for step in visit["steps"]}["recording"] == 1
