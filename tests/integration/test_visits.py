"""The journeys of a visit again, over a real RabbitMQ and PostgreSQL; and two workers on one of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.journey.hospital import Hospital, open_hospital
from tests.journey.test_bad_deliveries import (  # noqa: F401 - collected here, with this module's hospital
    test_a_known_id_with_other_content_is_kept_and_raises_an_alarm,
)
from tests.journey.test_visit_corrections import (  # noqa: F401
    test_a_recording_entered_in_error_takes_its_note_back,
    test_a_recording_moved_to_another_visit_leaves_nothing_behind,
    test_a_second_recording_after_filing_replaces_the_note,
    test_another_patients_recording_is_never_filed_and_raises_an_alarm,
    test_the_ehr_decides_whose_chart_it_is_not_the_queue,
)
from tests.journey.test_visit_typical import (  # noqa: F401
    test_a_visit_waits_for_its_encounter_to_finish,
    test_an_encounter_without_a_recording_needs_nothing_until_one_comes,
    test_encounter_then_media_files_one_note_in_the_right_chart,
    test_media_before_its_encounter_ends_the_same,
    test_several_recordings_make_one_note_in_the_order_they_were_made,
    test_the_same_events_again_leave_one_note,
)
from tests.nodes.queue_operator import Operator


@pytest.fixture
def parts(rabbitmq: str, postgres_url: str) -> dict[str, Any]:
    return {"broker": {"url": rabbitmq}, "database": {"url": postgres_url}}


@pytest.fixture
async def hospital(tmp_path: Path, parts: dict[str, Any]) -> AsyncIterator[Hospital]:
    async with open_hospital(tmp_path, **parts) as hospital:
        yield hospital


async def test_what_cannot_be_taken_in_is_a_dead_letter_in_both_places(hospital: Hospital, rabbitmq: str) -> None:
    junk = b"\x00\xff" * (5 * 1024**2 // 2)
    for body in (b"this is not JSON", b'{"hello": "world"}', junk):
        await hospital.publish(body)
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("done")
    letters = await hospital.house.letters.list_letters("open", 10, None)
    assert sorted(letter["reason"] for letter in letters) == ["not_fhir", "not_json", "too_large"]
    async with Operator.connect(rabbitmq) as operator:
        assert await operator.depth("ambient.events.dead") == 3
        assert await operator.depth("ambient.events") == 0


async def test_two_workers_share_the_visits_and_no_note_is_filed_twice(tmp_path: Path, parts: dict[str, Any]) -> None:
    async with open_hospital(tmp_path, **parts) as hospital, open_hospital(tmp_path, **parts):
        events = [await hospital.admit(f"e{n}") for n in range(12)] + [
            await hospital.record(f"m{n}", encounter=f"e{n}") for n in range(12)
        ]
        await asyncio.gather(*(hospital.tell(event, event) for event in events))
        for n in range(12):
            visit = await hospital.until("done", f"Encounter/e{n}", seconds=60)
            assert len(await hospital.notes(f"e{n}")) == 1
            assert all(step["attempts"] == 1 for step in visit["steps"] if not step["name"].startswith("transcribed:"))
