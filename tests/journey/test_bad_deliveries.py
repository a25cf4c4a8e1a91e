"""Bad input gets a clear answer and loses nothing; the consumer goes on."""

from __future__ import annotations

import json

import pytest
from prometheus_client import REGISTRY

from tests.journey.hospital import Hospital

JUNK = b"\x00\xff" * (5 * 1024**2 // 2)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"this is not JSON", "not_json"),
        (b'{"hello": "world"}', "not_fhir"),
        (b'["Media"]', "not_fhir"),
        (b'{"resourceType": "Media", "status": "completed"}', "not_fhir"),
        (JUNK, "too_large"),
        (json.dumps({"resourceType": "Media", "id": "m", "status": "completed", "encounter": {"reference": "https://other.example/fhir/Encounter/1"}}).encode(), "foreign_base"),
    ],
    ids=["not JSON", "not FHIR", "an array", "no id", "5 MB of junk", "a foreign EHR"],
)  # fmt: skip
async def test_what_cannot_be_taken_in_is_kept_whole_with_its_reason(
    hospital: Hospital, body: bytes, reason: str
) -> None:
    await hospital.publish(body)
    (letter,) = await hospital.house.letters.list_letters("open", 10, None)
    assert letter["reason"] == reason
    assert letter["detail"]
    delivery = await hospital.house.letters.find_delivery(letter["id"])
    assert delivery is not None
    assert delivery.body == body
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("done")


async def test_a_type_that_is_not_read_is_ignored_and_counted(hospital: Hospital) -> None:
    before = REGISTRY.get_sample_value("ambient_events_ignored_total", {"reason": "type_not_read"}) or 0
    await hospital.publish(b'{"resourceType": "Observation", "id": "o1", "status": "final"}')
    assert REGISTRY.get_sample_value("ambient_events_ignored_total", {"reason": "type_not_read"}) == before + 1
    assert await hospital.house.letters.list_letters(None, 10, None) == []


async def test_a_known_id_with_other_content_is_kept_and_raises_an_alarm(hospital: Hospital) -> None:
    before = REGISTRY.get_sample_value("ambient_events_conflicting_total")
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media, {**media, "subject": {"reference": "Patient/p2"}})
    visit = await hospital.until("done")
    assert REGISTRY.get_sample_value("ambient_events_conflicting_total") == before + 1
    assert len(visit["events"]) == 3
    assert (await hospital.notes())[0]["subject"] == {"reference": "Patient/p1"}
