"""Deliveries that come twice, too large, broken or from elsewhere: nothing is done twice, nothing lost, nothing mixed up."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from service.fhir.document_reference import note_identifier
from service.workflow.visit import visit_id
from tests.journey.edge_cases.ehr_at_the_wire import every_note
from tests.journey.hospital import COUGH, Hospital, Json, audio, open_hospital


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(f"ambient_events_{name}_total") or 0


def bytes_of(body: object) -> bytes:
    return json.dumps(body).encode()


async def letters(hospital: Hospital) -> list[str]:
    return [letter["reason"] for letter in await hospital.house.letters.list_letters("open", 100, None)]


# --- 3, 4: the same again ---------------------------------------------------------------------------------------------


async def test_case_03_the_same_event_twice_is_one_event_and_one_note(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    before = counted("duplicate")
    await hospital.tell(encounter, media, encounter, media)
    await hospital.until("done")
    await hospital.tell(media, encounter)
    assert counted("duplicate") == before + 4
    assert (await hospital.visit())["state"] == "done"
    assert len((await hospital.visit())["events"]) == 2
    assert len(await every_note(hospital)) == 1


async def test_case_03_an_event_redelivered_after_its_process_died_is_the_same_event(tmp_path: Path) -> None:
    async with open_hospital(tmp_path) as hospital:
        encounter, media = await hospital.admit(), await hospital.record()
        await hospital.tell(encounter, media)
    async with open_hospital(tmp_path) as hospital:
        before = counted("duplicate")
        await hospital.tell(media)
        assert counted("duplicate") == before + 1
        await hospital.until("done")
        assert len(await every_note(hospital)) == 1


async def test_case_04_the_same_change_under_a_new_event_id_changes_nothing(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter)
    for ident in ("c1", "c2"):
        event = {"specversion": "1.0", "id": ident, "source": "urn:x", "type": "x.updated", "data": media}
        await hospital.publish(bytes_of(event))
        await hospital.until("done")
    visit = await hospital.visit()
    assert [event["id"] for event in visit["events"]][1:] == ["c1", "c2"]
    assert [step["attempts"] for step in visit["steps"] if step["name"].startswith("filed:")] == [1]
    assert len(await every_note(hospital)) == 1


# --- 21: size ---------------------------------------------------------------------------------------------------------


def with_inline_audio(media: Json, size: int) -> Json:
    """The consultation, followed by silence."""
    data = base64.b64encode(audio(*COUGH).ljust(size)).decode()
    return {**media, "content": {"contentType": "audio/ogg", "data": data}}


async def test_case_21_inline_audio_beyond_the_limit_is_a_dead_letter_kept_whole(hospital: Hospital) -> None:
    body = bytes_of(with_inline_audio(await hospital.record(), 2 * 1024**2))
    await hospital.publish(body)
    (letter,) = await hospital.house.letters.list_letters("open", 10, None)
    assert letter["reason"] == "too_large"
    delivery = await hospital.house.letters.find_delivery(letter["id"])
    assert delivery
    assert delivery.body == body


async def test_case_21_inline_audio_of_some_mib_is_heard_where_the_limit_allows_it(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, broker={"max_message": "4MiB"}) as hospital:
        encounter, media = await hospital.admit(), await hospital.record()
        media = await hospital.put(with_inline_audio(media, 2 * 1024**2))
        await hospital.tell(encounter, media)
        await hospital.until("done")
        assert len(await hospital.notes()) == 1


# --- 42: poison -------------------------------------------------------------------------------------------------------

MEDIA = {"resourceType": "Media", "id": "x1", "status": "completed"}
POISON: dict[str, tuple[bytes, str]] = {
    "bad JSON": (b'{"resourceType": "Media",', "not_json"),
    "UTF-16": (json.dumps(MEDIA).encode("utf-16"), "not_json"),
    "Latin-1": (json.dumps({**MEDIA, "deviceName": "é"}, ensure_ascii=False).encode("latin-1"), "not_json"),
    "gzip": (gzip.compress(bytes_of(MEDIA)), "not_json"),
    "nested 1,000 deep": (bytes_of(MEDIA)[:-1] + b',"x":' + b"[" * 1000 + b"]" * 1000 + b"}", "not_fhir"),
    "nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "not_json"),
    "NaN": (bytes_of(MEDIA)[:-1] + b',"duration":NaN}', "not_json"),
    "a lone surrogate": (bytes_of(MEDIA)[:-1] + b',"deviceName":"\\ud800"}', "not_json"),
    "NUL": (bytes_of(MEDIA)[:-1] + b',"deviceName":"\\u0000"}', "not_fhir"),
    "XML": (b"<Media xmlns='http://hl7.org/fhir'/>", "not_json"),
    "nothing": (b"", "not_json"),
    "a duplicate key that spoils it": (bytes_of(MEDIA)[:-1] + b',"id":7}', "not_fhir"),
}


@pytest.mark.parametrize("poison", POISON)
async def test_case_42_poison_is_put_aside_and_the_next_delivery_is_taken(hospital: Hospital, poison: str) -> None:
    body, reason = POISON[poison]
    await hospital.publish(body)
    assert await letters(hospital) == [reason]
    await hospital.tell(await hospital.admit())
    await hospital.until("done", reason="no_recording")


@pytest.mark.parametrize(
    "oddity",
    [
        {"contained": [{"resourceType": "Nonsense", "id": "x"}]},
        {"contained": "nonsense"},
        {"note": [{"text": "\u202e\U0001f600 \u00e9\r\n"}]},
        {"duration": 1e300},
    ],
)
async def test_case_42_what_is_only_odd_is_taken_in(hospital: Hospital, oddity: Json) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell({**encounter, **oddity}, {**media, **oddity})
    await hospital.until("done")
    assert await letters(hospital) == []


async def test_case_42_a_byte_order_mark_is_passed_over_and_of_duplicate_keys_the_last_counts(
    hospital: Hospital,
) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.publish(b"\xef\xbb\xbf" + bytes_of(encounter), "fhir.Encounter.update")
    await hospital.publish(b'{"id":"other",' + bytes_of(media)[1:])
    await hospital.until("done")
    assert await hospital.house.visits.show_visit("Media/other") is None


# --- 46: two EHRs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        lambda there: {"resourceType": "Bundle", "type": "subscription-notification", "entry": [{"resource": {
            "resourceType": "SubscriptionStatus", "type": "event-notification",
            "notificationEvent": [{"eventNumber": "1", "focus": {"reference": f"{there}/Encounter/e1"}}]}}]},
        lambda there: {"operationType": "update", "location": f"{there}/Encounter/e1/_history/9", "resourceId": "e1"},
        lambda there: {"payload": {"operationType": "DELETE", "payloadId": f"{there}/Encounter/e1/_history/9"}},
        lambda there: {"eventType": "Microsoft.HealthcareApis.FhirResourceDeleted", "id": "g", "topic": "t",
                       "data": {"resourceType": "Encounter", "resourceFhirId": "e1", "resourceFhirAccount": there.split("/")[2]}},
        lambda there: {**MEDIA, "id": "m1", "encounter": {"reference": f"{there}/Encounter/e1"}},
    ],
    ids=["notification", "LinuxForHealth", "HAPI", "Azure", "Media"],
)  # fmt: skip
async def test_case_46_the_same_id_in_another_ehr_is_another_encounter(hospital: Hospital, told: Any) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record())
    before = await hospital.until("done")
    await hospital.publish(bytes_of(told("https://second.example/fhir/R4")))
    assert await letters(hospital) == ["foreign_base"]
    assert (await hospital.visit())["facts"] == before["facts"]


def test_case_46_visits_and_notes_of_two_ehrs_never_share_a_name() -> None:
    ehrs = ("https://one.example/fhir/R4", "https://two.example/fhir/R4")
    assert len({visit_id(ehr, "Encounter/e1") for ehr in ehrs}) == 2
    assert len({note_identifier(ehr, "Encounter/e1", "corti-soap", "r") for ehr in ehrs}) == 2


# --- Azure Event Grid asks whether we want its events -----------------------------------------------------------------

VALIDATION = {
    "id": "v1",
    "topic": "/subscriptions/x",
    "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
    "data": {"validationCode": "512d38b6", "validationUrl": "https://grid.example/validate"},
}


async def test_event_grid_s_validation_is_answered_over_http(http: httpx.AsyncClient) -> None:
    answer = await http.post("/events", json=[VALIDATION])
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})


async def test_event_grid_s_validation_is_answered_only_to_whom_may_send_events(tmp_path: Path) -> None:
    async with open_hospital(tmp_path, api={"clients": {"recorder": "s3cret"}}) as hospital, hospital.http() as http:
        answer = await http.post("/events", json=[VALIDATION])
        assert answer.status_code == 401
        assert b"512d38b6" not in answer.content


async def test_event_grid_s_validation_in_the_queue_needs_no_work(hospital: Hospital) -> None:
    await hospital.publish(bytes_of([VALIDATION]))
    assert await letters(hospital) == []


# --- 4: what only looks like the same ---------------------------------------------------------------------------------


def bare(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if name != "meta"}


def pointer(number: int | None, reference: str) -> Json:
    numbered = {"eventNumber": number} if number else {}
    status = {
        "resourceType": "SubscriptionStatus", "type": "event-notification", "subscription": {"reference": "Subscription/s1"},
        "notificationEvent": [{**numbered, "focus": {"reference": reference}}],
    }  # fmt: skip
    return {"resourceType": "Bundle", "type": "subscription-notification", "entry": [{"resource": status}]}


async def test_case_04_a_change_back_that_no_version_tells_apart_is_news(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(bare(encounter))
    await hospital.tell(bare(await hospital.put({**encounter, "status": "cancelled"})), media)
    await hospital.until("cancelled")
    before = counted("duplicate")
    await hospital.tell(bare(await hospital.put(encounter)))
    assert counted("duplicate") == before + 1
    await hospital.until("done")
    assert len(await every_note(hospital)) == 1


@pytest.mark.parametrize("number", [1, None])
async def test_case_04_so_is_a_repeated_pointer_and_a_subscription_that_counts_from_one_again(
    hospital: Hospital, number: int | None
) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.publish(bytes_of(pointer(number, "Encounter/e1")))
    await hospital.tell(await hospital.put({**encounter, "status": "cancelled"}), media)
    await hospital.until("cancelled")
    await hospital.put(encounter)
    await hospital.publish(bytes_of(pointer(number, "Encounter/e1")))
    await hospital.until("done")
    assert len(await every_note(hospital)) == 1


async def test_case_03_an_event_that_names_a_version_wakes_nobody_a_second_time(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter, media)
    await hospital.until("done")
    before = (await hospital.visit())["updatedAt"]
    await hospital.tell(encounter, media)
    assert (await hospital.visit())["updatedAt"] == before


async def test_case_03_one_without_a_version_wakes_nobody_while_it_says_what_is_known(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(bare(encounter), bare(media))
    await hospital.until("done")
    before = (await hospital.visit())["updatedAt"]
    await hospital.tell(bare(encounter), bare(media))
    assert (await hospital.visit())["updatedAt"] == before


async def test_case_03_one_that_its_envelope_names_wakes_nobody_a_second_time_whatever_came_since(
    hospital: Hospital,
) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    named = {
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "type": "x.updated",
        "data": bare({**encounter, "status": "planned"}),
    }
    await hospital.publish(bytes_of(named))
    await hospital.tell(encounter, media)
    await hospital.until("done")
    before = (await hospital.visit())["updatedAt"]
    await hospital.publish(bytes_of(named))
    assert (await hospital.visit())["updatedAt"] == before


# --- over HTTP --------------------------------------------------------------------------------------------------------


async def test_a_batch_over_http_is_taken_in_as_it_was_read(hospital: Hospital) -> None:
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.tell(encounter)
    batch = [
        {"specversion": "1.0", "id": "1", "source": "s", "type": "fhir.deleted", "data": {**bare(media), "id": "old"}},
        {"specversion": "1.0", "id": "2", "source": "s", "type": "fhir.notification", "data": media},
    ]
    async with hospital.http() as client:
        assert (await client.post("/events", json=batch)).json() == {"taken": 2}
    for _ in range(200):
        events = (await hospital.visit())["events"]
        if len(events) == 3:
            break
        await asyncio.sleep(0.02)
    assert [(event["id"], event["operation"]) for event in events[1:]] == [("1", "delete"), ("2", "upsert")]


async def test_a_delete_of_the_same_id_at_another_server_leaves_the_note_alone(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("done")
    elsewhere = {"fullUrl": "https://other.test/fhir/Media/m1", "request": {"method": "DELETE", "url": "Media/m1"}}
    await hospital.publish(bytes_of({"resourceType": "Bundle", "type": "history", "entry": [elsewhere]}))
    assert await letters(hospital) == ["foreign_base"]
    assert (await hospital.visit())["state"] == "done"
