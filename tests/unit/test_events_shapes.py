"""Every accepted shape of a delivery becomes the same plain Event."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from service.errors import Ignored
from service.events.delivery import Delivery
from service.events.event import Event
from service.events.reading import read_events

Json = dict[str, Any]
BASE = "https://ehr.test/fhir/R4"
MEDIA: Json = {
    "resourceType": "Media", "id": "m1", "status": "completed", "meta": {"versionId": "2", "lastUpdated": "2026-01-05T09:10:00Z"},
    "encounter": {"reference": "Encounter/e1"}, "content": {"url": "Binary/b1"},
}  # fmt: skip
ENCOUNTER: Json = {"resourceType": "Encounter", "id": "e1", "status": "finished", "meta": {"versionId": "7"}}


def read(body: object, *, key: str | None = None, headers: dict[str, str] | None = None) -> list[Event]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_events(Delivery(raw, routing_key=key, headers=headers or {}), BASE)


def cloud_event(data: object = MEDIA, **more: object) -> Json:
    return {
        "specversion": "1.0",
        "id": "c1",
        "source": "urn:recorder",
        "type": "org.example.created",
        "data": data,
        **more,
    }


def hapi(operation: str = "UPDATE", pointer: str | None = "Media/m1/_history/2", payload: object = MEDIA) -> Json:
    inner = json.dumps(payload) if isinstance(payload, dict) else payload
    return {"headers": {}, "payload": {"operationType": operation, "payloadId": pointer, "payload": inner}}


def parameters(
    *foci: tuple[str, str | None], kind: str = "event-notification", subscription: str | None = "Subscription/s1"
) -> Json:
    named: list[Json] = [{"name": "type", "valueCode": kind}]
    if subscription:
        named.append({"name": "subscription", "valueReference": {"reference": subscription}})
    for number, focus in foci:
        parts: list[Json] = [{"name": "event-number", "valueString": number}]
        if focus:
            parts.append({"name": "focus", "valueReference": {"reference": focus}})
        named.append({"name": "notification-event", "part": parts})
    return {"resourceType": "Parameters", "parameter": named}


def status(*foci: tuple[object, str], kind: str = "event-notification") -> Json:
    events = [{"eventNumber": number, "focus": {"reference": focus}} for number, focus in foci]
    return {
        "resourceType": "SubscriptionStatus",
        "type": kind,
        "subscription": {"reference": "Subscription/s1"},
        "notificationEvent": events,
    }


def bundle(first: Json, *entries: Json, kind: str = "history") -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": [{"resource": first}, *entries]}


def full(resource: Json, method: str = "PUT") -> Json:
    return {
        "fullUrl": f"{BASE}/{resource['resourceType']}/{resource['id']}",
        "resource": resource,
        "request": {"method": method},
    }


NUMBERED = bundle(parameters(("3", "Media/m1")), full(MEDIA))
SHAPES = {
    "a raw resource": (MEDIA, {}, BASE, "Media/m1/_history/2"),
    "a byte order mark before it": (b"\xef\xbb\xbf" + json.dumps(MEDIA).encode(), {}, BASE, "Media/m1/_history/2"),
    "CloudEvents structured": (cloud_event(), {}, "urn:recorder", "c1"),
    "CloudEvents with text as data": (cloud_event(json.dumps(MEDIA)), {}, "urn:recorder", "c1"),
    "CloudEvents with base64": (
        {**cloud_event(None), "data_base64": base64.b64encode(json.dumps(MEDIA).encode()).decode()}, {}, "urn:recorder", "c1"),
    "HAPI": (hapi(), {}, BASE, "Media/m1/_history/2"),
    "HAPI without a version in its pointer": (hapi(pointer="Media/m1"), {}, BASE, "Media/m1/_history/2"),
    "topic and value": ({"topic": "t", "value": NUMBERED}, {}, "Subscription/s1", "Subscription/s1#3"),
    "backport with the resource": (NUMBERED, {}, "Subscription/s1", "Subscription/s1#3"),
    "an absolute focus": (bundle(parameters(("3", f"{BASE}/Media/m1")), full(MEDIA)), {}, "Subscription/s1", "Subscription/s1#3"),
    "a focus that is a urn": (
        bundle(parameters(("3", "urn:uuid:x")), {"fullUrl": "urn:uuid:x", "resource": MEDIA}), {}, "Subscription/s1", "Subscription/s1#3"),
    "no subscription named": (
        bundle(parameters(("3", "Media/m1"), subscription=None), full(MEDIA)), {}, BASE, "Media/m1/_history/2"),
    "SubscriptionStatus": (bundle(status(("3", "Media/m1")), full(MEDIA)), {}, "Subscription/s1", "Subscription/s1#3"),
    "SubscriptionStatus with event number zero": (
        bundle(status((0, "Media/m1")), full(MEDIA), kind="subscription-notification"), {}, "Subscription/s1", "Subscription/s1#0"),
    "a history Bundle without a status": ({"resourceType": "Bundle", "type": "history", "entry": [full(MEDIA)]}, {}, BASE, "Media/m1/_history/2"),
    "a notification inside a CloudEvent": (cloud_event(NUMBERED), {}, "Subscription/s1", "Subscription/s1#3"),
    **{
        f"CloudEvents binary, prefix {prefix}": (
            MEDIA, {f"{prefix}specversion": "1.0", f"{prefix}id": "c1", f"{prefix}source": "urn:recorder", f"{prefix}type": "created"}, "urn:recorder", "c1")
        for prefix in ("ce-", "CE-", "ce_", "cloudEvents:", "cloudEvents_")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_gives_the_same_event(name: str) -> None:
    body, headers, source, ident = SHAPES[name]
    (event,) = read(body, headers=headers)
    assert (event.reference, event.version, event.operation, event.encounter) == ("Media/m1", "2", "upsert", "e1")
    assert event.resource == MEDIA
    assert event.last_updated == "2026-01-05T09:10:00Z"
    assert (event.source, event.id) == (source, ident)


def test_the_same_event_has_the_same_fingerprint_in_every_envelope() -> None:
    assert len({read(body, headers=headers)[0].fingerprint for body, headers, _, _ in SHAPES.values()}) == 1


def test_an_encounter_belongs_to_itself() -> None:
    (event,) = read(ENCOUNTER)
    assert (event.reference, event.encounter) == ("Encounter/e1", "e1")


POINTERS = {
    "HAPI without payload": (hapi(payload=None), "2"),
    "HAPI with an absolute pointer": (hapi(pointer=f"{BASE}/Media/m1/_history/2", payload=None), "2"),
    "backport id-only": (
        bundle(parameters(("3", "Media/m1")), {"fullUrl": f"{BASE}/Media/m1", "request": {"method": "PUT"}}),
        None,
    ),
    "backport id-only without entries": (bundle(parameters(("3", "Media/m1"))), None),
    "a versioned focus": (bundle(status(("3", "Media/m1/_history/2"))), None),
}


@pytest.mark.parametrize("name", POINTERS)
def test_a_pointer_gives_an_event_without_a_resource(name: str) -> None:
    body, version = POINTERS[name]
    (event,) = read(body)
    assert (event.reference, event.resource, event.operation, event.version) == ("Media/m1", None, "upsert", version)


DELETES = {
    "routing key": (MEDIA, "fhir.Media.delete", {}),
    "HAPI without payload": (hapi("DELETE", payload=None), None, {}),
    "HAPI with payload": (hapi("DELETE"), None, {}),
    "CloudEvents structured": (cloud_event(type="org.example.ResourceDeleted"), None, {}),
    "CloudEvents binary": (MEDIA, None, {"ce-specversion": "1.0", "ce-id": "c", "ce-source": "s", "ce-type": "deleted"}),
    "backport": (bundle(parameters(("3", "Media/m1")), {"fullUrl": f"{BASE}/Media/m1", "request": {"method": "DELETE"}}), None, {}),
    "backport with a relative focus and url": (
        bundle(parameters(("3", "Media/m1")), {"request": {"method": "DELETE", "url": "Media/m1"}}), None, {}),
    "a history entry": ({"resourceType": "Bundle", "type": "history", "entry": [{"request": {"method": "delete", "url": "Media/m1"}}]}, None, {}),
    "id-only under a delete routing key": (bundle(parameters(("3", "Media/m1"))), "fhir.Media.delete", {}),
    "a deleting CloudEvent around a notification": (cloud_event(bundle(parameters(("3", "Media/m1"))), type="deleted"), None, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", DELETES)
def test_a_deletion_is_recognised_and_carries_no_resource(name: str) -> None:
    body, key, headers = DELETES[name]
    (event,) = read(body, key=key, headers=headers)
    assert (event.reference, event.operation, event.resource) == ("Media/m1", "delete", None)


def test_a_deletion_is_another_event_than_the_update_of_the_same_version() -> None:
    for update, deletion, key in ((MEDIA, MEDIA, "fhir.Media.delete"), (hapi(), hapi("DELETE"), None)):
        (before,), (after,) = read(update), read(deletion, key=key)
        assert before.id != after.id
        assert before.fingerprint != after.fingerprint


def test_several_notifications_in_one_bundle_are_several_events() -> None:
    events = read(
        bundle(parameters(("3", "Media/m1"), ("4", "Encounter/e1"), ("5", "Patient/p1")), full(MEDIA), full(ENCOUNTER))
    )
    assert [(e.reference, e.id) for e in events] == [
        ("Media/m1", "Subscription/s1#3"),
        ("Encounter/e1", "Subscription/s1#4"),
    ]


def test_several_events_under_one_id_are_told_apart() -> None:
    events = read(
        cloud_event(
            {
                "resourceType": "Bundle",
                "type": "history",
                "entry": [full(MEDIA), full({**MEDIA, "meta": {"versionId": "3"}}), full(ENCOUNTER)],
            }
        )
    )
    assert len({(e.source, e.id) for e in events}) == 3


@pytest.mark.parametrize(
    ("meta", "ident"),
    [
        ({"versionId": "9"}, "Media/m1/_history/9"),
        ({"lastUpdated": "2026-01-05T09:10:00Z"}, "Media/m1@2026-01-05T09:10:00Z"),
        ({"versionId": "not an id", "lastUpdated": "yesterday"}, None),
        ({}, None),
    ],
)
def test_what_names_an_event_that_has_no_id_of_its_own(meta: Json, ident: str | None) -> None:
    import hashlib

    body = json.dumps({**MEDIA, "meta": meta}).encode()
    assert read(body)[0].id == (ident or hashlib.sha256(body).hexdigest())


def test_a_long_event_id_stays_unique() -> None:
    first, second = (read(cloud_event(id="x" * 600 + end))[0] for end in "ab")
    assert first.id != second.id
    assert len(first.id) <= 512


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (bundle(parameters(kind="handshake")), "handshake"),
        (bundle(parameters(kind="heartbeat")), "heartbeat"),
        (bundle(status(kind="heartbeat"), kind="subscription-notification"), "heartbeat"),
        (bundle(parameters(("3", None))), "nothing_notified"),
        (bundle(parameters(("3", "Patient/p1"))), "type_not_read"),
        ({"resourceType": "Patient", "id": "p"}, "type_not_read"),
        ({"resourceType": "DocumentReference"}, "type_not_read"),
        (hapi(payload={"resourceType": "Patient", "id": "p"}, pointer="Patient/p"), "type_not_read"),
    ],
)
def test_what_needs_no_work_is_ignored(body: Json, reason: str) -> None:
    with pytest.raises(Ignored) as ignored:
        read(body)
    assert ignored.value.reason == reason
