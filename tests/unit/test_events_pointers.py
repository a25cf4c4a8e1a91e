"""Pointers of FHIR services, whatever brings them: Azure's, Google's and LinuxForHealth's, and lists of events."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from service.errors import Ignored, Rejected
from service.events.delivery import Delivery
from service.events.event import Event
from service.events.event_grid import validation_code
from service.events.reading import read_events
from tests.unit.test_events_shapes import ENCOUNTER, MEDIA, Json, cloud_event
from tests.unit.test_events_shapes import read as read_at_base

AZURE = "https://workspace-ehr.fhir.azurehealthcareapis.com"
STORE = "projects/p1/locations/l1/datasets/d1/fhirStores/s1"
GOOGLE = f"https://healthcare.googleapis.com/v1/{STORE}/fhir"
BASES = {"azure": AZURE, "google": GOOGLE, "lfh": "https://ehr.test/fhir/R4"}


def read(body: object, base: str, headers: dict[str, str] | None = None) -> list[Event]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_events(Delivery(raw, headers=headers or {}), base)


def azure_data(kind: str = "Media", ident: str = "m1", version: object = 2, host: str = AZURE) -> Json:
    return {
        "resourceType": kind,
        "resourceFhirAccount": host.removeprefix("https://"),
        "resourceFhirId": ident,
        "resourceVersionId": version,
    }


def grid(operation: str = "Created", *, ident: str = "g1", **data: Any) -> Json:
    return {
        "id": ident,
        "topic": "/subscriptions/x/providers/Microsoft.HealthcareApis/workspaces/w",
        "subject": "workspace-ehr.fhir.azurehealthcareapis.com/Media/m1",
        "eventType": f"Microsoft.HealthcareApis.FhirResource{operation}",
        "eventTime": "2026-01-05T09:10:00Z",
        "dataVersion": "2",
        "metadataVersion": "1",
        "data": azure_data(**data),
    }


def azure_cloud(operation: str = "Updated", ident: str = "c1") -> Json:
    kind = f"Microsoft.HealthcareApis.FhirResource{operation}"
    return {"specversion": "1.0", "id": ident, "source": "urn:az", "type": kind, "dataschema": "#1", "data": azure_data()}  # fmt: skip


def google(
    action: str = "UpdateResource", data: object = None, version: str | None = "MTYzMjA", **attributes: str
) -> Json:
    if data is None:
        data = f"{STORE}/fhir/Media/m1"
    text = data if isinstance(data, str) else json.dumps(data)
    named = {
        "action": action,
        "payloadType": "NameOnly" if isinstance(data, str) else "FullResource",
        "resourceType": "Media",
        "storeName": STORE,
        "lastUpdatedTime": "Mon, 05 Jan 2026 09:10:00 UTC",
        **({"versionId": version} if version else {}),
        **attributes,
    }
    message = {"attributes": named, "data": base64.b64encode(text.encode()).decode(), "messageId": "71"}
    return {"message": message, "subscription": "projects/p1/subscriptions/x"}


def lfh(operation: str = "update", location: str = "Media/m1/_history/2", **more: object) -> Json:
    return {
        "lastUpdated": "2026-01-05T09:10:00Z",
        "location": location,
        "operationType": operation,
        "resourceId": "m1",
        "tenantId": "default",
        "datasourceId": "default",
        **more,
    }


POINTERS: dict[str, tuple[str, object, str, str, str | None]] = {
    "Event Grid, in its list": ("azure", [grid()], grid()["topic"], "g1", "2"),
    "Event Grid, alone as a queue has it": ("azure", grid(), grid()["topic"], "g1", "2"),
    "Azure in a CloudEvent": ("azure", azure_cloud(), "urn:az", "c1", "2"),
    "Azure in a batch of CloudEvents": ("azure", [azure_cloud()], "urn:az", "c1", "2"),
    "Azure with a version as text": ("azure", [grid(version="2")], grid()["topic"], "g1", "2"),
    "Google, pushed": ("google", google(), GOOGLE, "Media/m1/_history/MTYzMjA", "MTYzMjA"),
    "Google, pulled": ("google", {"ackId": "a", **google()}, GOOGLE, "Media/m1/_history/MTYzMjA", "MTYzMjA"),
    "Google, unwrapped": ("google", google()["message"], GOOGLE, "Media/m1/_history/MTYzMjA", "MTYzMjA"),
    "Google, patched": ("google", google("PatchResource"), GOOGLE, "Media/m1/_history/MTYzMjA", "MTYzMjA"),
    "Google without a version": ("google", google(version=None), GOOGLE, "Media/m1@2026-01-05T09:10:00Z", None),
    "Google's name with its version": (
        "google",
        google(data=f"{STORE}/fhir/Media/m1/_history/MTYzMjA"),
        GOOGLE,
        "Media/m1/_history/MTYzMjA",
        "MTYzMjA",
    ),
    "LinuxForHealth": ("lfh", lfh(), BASES["lfh"], "Media/m1/_history/2", "2"),
    "LinuxForHealth without a version": ("lfh", lfh(location="Media/m1"), BASES["lfh"], "Media/m1@2026-01-05T09:10:00Z", None),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTERS)
def test_a_service_s_pointer_becomes_an_event_without_a_resource(name: str) -> None:
    whose, body, source, ident, version = POINTERS[name]
    (event,) = read(body, BASES[whose])
    assert (event.reference, event.operation, event.resource) == ("Media/m1", "upsert", None)
    assert (event.source, event.id, event.version) == (source, ident, version)


DELETES = {
    "Event Grid": ("azure", [grid("Deleted")]),
    "Azure in a CloudEvent": ("azure", azure_cloud("Deleted")),
    "Google": ("google", google("DeleteResource")),
    "Google with the resource that it was": ("google", google("DeleteResource", MEDIA)),
    "LinuxForHealth": ("lfh", lfh("delete")),
}


@pytest.mark.parametrize("name", DELETES)
def test_a_service_s_deletion_is_a_delete(name: str) -> None:
    whose, body = DELETES[name]
    (event,) = read(body, BASES[whose])
    assert (event.reference, event.operation, event.resource) == ("Media/m1", "delete", None)


WITH_RESOURCE = {
    "Google": ("google", google(data=MEDIA), None),
    "LinuxForHealth": ("lfh", lfh(resource=MEDIA), None),
    "Event Grid around a resource of somebody's own": ("azure", [{**grid(), "data": MEDIA}], "g1"),
}


@pytest.mark.parametrize("name", WITH_RESOURCE)
def test_a_resource_that_came_along_is_taken(name: str) -> None:
    whose, body, ident = WITH_RESOURCE[name]
    (event,) = read(body, BASES[whose])
    assert (event.resource, event.encounter, event.version) == (MEDIA, "e1", "2")
    assert event.id == (ident or "Media/m1/_history/2")


def test_google_s_attributes_may_be_headers_and_its_data_the_body() -> None:
    for data in (f"{STORE}/fhir/Media/m1", MEDIA):
        message = google(data=data)["message"]
        headers = {f"{name[0].upper()}{name[1:]}": value for name, value in message["attributes"].items()}
        (event,) = read(base64.b64decode(message["data"]), GOOGLE, headers)
        assert (event.reference, event.version) == ("Media/m1", "2" if data is MEDIA else "MTYzMjA")


def test_each_event_of_a_list_keeps_its_own_id() -> None:
    events = read([grid(ident="a"), grid("Deleted", ident="b")], AZURE)
    assert [(event.id, event.operation) for event in events] == [("a", "upsert"), ("b", "delete")]
    mixed = read_at_base(
        [cloud_event(), cloud_event(ENCOUNTER, id="c2"), cloud_event({"resourceType": "Patient"}, id="c3")]
    )
    assert [(event.reference, event.id) for event in mixed] == [("Media/m1", "c1"), ("Encounter/e1", "c2")]


def test_the_headers_of_a_batch_name_none_of_its_events() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "h", "ce-source": "urn:h"}
    assert read_at_base([cloud_event(), cloud_event(id="c2")], headers=headers)[0].id == "c1"


REJECTED: dict[str, tuple[str, object, str]] = {
    "another Azure service": ("azure", [grid(host="https://other.fhir.azurehealthcareapis.com")], "foreign_base"),
    "another store of Google's": ("google", google(storeName=f"{STORE}2"), "foreign_base"),
    "a name in another store": ("google", google(data=f"{STORE}2/fhir/Media/m1"), "foreign_base"),
    "Google's message to another EHR": ("lfh", google(), "foreign_base"),
    "another server's location": ("lfh", lfh(location="https://evil.test/fhir/Media/m1"), "foreign_base"),
    "a location that is no reference": ("lfh", lfh(location="Media"), "not_fhir"),
    "a location that brings another resource": ("lfh", lfh(resource={**MEDIA, "id": "m2"}), "not_fhir"),
    "data that is not base64": ("google", {"message": {**google()["message"], "data": "é"}}, "not_fhir"),
    "data that names nothing": ("google", google(data="x"), "not_fhir"),
    "an Event Grid event without id": ("azure", [{**grid(), "id": ""}], "not_fhir"),
    "an Azure id that is none": ("azure", [{**grid(), "data": azure_data(ident="a/b")}], "not_fhir"),
    "a list of something else": ("lfh", [1], "not_fhir"),
    "an empty list": ("lfh", [], "not_fhir"),
    "one bad event in a list": ("azure", [grid(), {**grid(), "id": None}], "not_fhir"),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
def test_a_pointer_that_leads_elsewhere_or_nowhere_is_rejected(name: str) -> None:
    whose, body, reason = REJECTED[name]
    with pytest.raises(Rejected) as rejected:
        read(body, BASES[whose])
    assert rejected.value.reason == reason


VALIDATION = {**grid(), "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6"}}  # fmt: skip


@pytest.mark.parametrize(
    ("whose", "body", "reason"),
    [
        ("azure", [grid(kind="Patient")], "type_not_read"),
        ("google", google(data=f"{STORE}/fhir/Patient/p1"), "type_not_read"),
        ("lfh", lfh(location="Patient/p1/_history/1"), "type_not_read"),
        ("azure", [VALIDATION], "handshake"),
    ],
)
def test_a_pointer_to_what_is_not_read_is_ignored(whose: str, body: object, reason: str) -> None:
    with pytest.raises(Ignored) as ignored:
        read(body, BASES[whose])
    assert ignored.value.reason == reason


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([VALIDATION], "512d38b6"),
        (VALIDATION, "512d38b6"),
        ([VALIDATION, VALIDATION], None),
        ([{**VALIDATION, "data": {"validationCode": "x" * 600}}], None),
        ([{**VALIDATION, "data": {}}], None),
        ([grid()], None),
        ({"note": VALIDATION["eventType"]}, None),
    ],
)
def test_only_a_validation_is_answered_with_its_code(body: object, code: str | None) -> None:
    assert validation_code(json.dumps(body).encode()) == code


def test_bytes_that_are_not_json_hold_no_code() -> None:
    assert validation_code(b"Microsoft.EventGrid.SubscriptionValidationEvent") is None
