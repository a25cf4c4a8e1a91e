"""What a routing key says of one event and of several, and which events may come again as news."""

from __future__ import annotations

import pytest

from service.api.replay import routing_key
from tests.unit.test_events_shapes import (
    BASE,
    ENCOUNTER,
    MEDIA,
    SHAPES,
    Json,
    bundle,
    cloud_event,
    full,
    hapi,
    parameters,
    read,
)

NEW: Json = {**MEDIA, "id": "m2"}
SEVERAL = {
    "a batch": [cloud_event(type="fhir.deleted"), cloud_event(NEW, id="c2", type="fhir.notification")],
    "an id-only Bundle": bundle(
        parameters(("3", "Media/m1"), ("4", "Media/m2")),
        {"fullUrl": f"{BASE}/Media/m1", "request": {"method": "DELETE"}},
    ),
    "a CloudEvent around a Bundle": cloud_event(
        bundle(
            parameters(("3", "Media/m1"), ("4", "Media/m2")),
            {"fullUrl": f"{BASE}/Media/m1", "request": {"method": "DELETE"}},
        ),
        type="fhir.notification",
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("key", [None, "fhir.Media.update", "fhir.Media.delete"])
def test_a_routing_key_says_nothing_about_several_events(name: str, key: str | None) -> None:
    events = read(SEVERAL[name], key=key)
    assert [(e.reference, e.operation) for e in events] == [("Media/m1", "delete"), ("Media/m2", "upsert")]


def test_nor_about_one_of_several_of_which_the_others_are_not_read() -> None:
    others = cloud_event({"resourceType": "Patient", "id": "p"}, type="fhir.deleted")
    (event,) = read([others, cloud_event(NEW, id="c2", type="fhir.notification")], key="fhir.Patient.delete")
    assert event.operation == "upsert"


@pytest.mark.parametrize("name", [*SHAPES, *SEVERAL])
def test_what_is_published_under_its_events_routing_key_is_read_as_it_was(name: str) -> None:
    body, headers = (SEVERAL[name], None) if name in SEVERAL else (SHAPES[name][0], SHAPES[name][1])
    events = read(body, headers=headers)
    assert read(body, key=routing_key(events), headers=headers) == events


def test_the_routing_key_says_delete_only_where_all_are_deleted() -> None:
    deleted, updated = read(MEDIA, key="fhir.Media.delete"), read(ENCOUNTER)
    assert routing_key(deleted) == "fhir.Media.delete"
    assert routing_key([*deleted, *updated]) == "fhir.Media.update"
    assert routing_key([*updated, *deleted]) == "fhir.Encounter.update"


BARE = {name: value for name, value in MEDIA.items() if name != "meta"}


@pytest.mark.parametrize(
    ("body", "recurs"),
    [
        (MEDIA, False),
        (BARE, True),
        ({**BARE, "meta": {"lastUpdated": "2026-01-05T09:10:00Z"}}, False),
        (cloud_event(BARE), False),
        (bundle(parameters(("3", "Media/m1"))), True),
        (bundle(parameters(("3", "Media/m1"), subscription=None)), True),
        (bundle(parameters(("3", "Media/m1")), full(MEDIA)), False),
        (hapi("DELETE", pointer="Media/m1", payload=None), True),
        (hapi("DELETE", payload=None), False),
    ],
)
def test_an_event_whose_name_says_no_version_may_recur(body: Json, recurs: bool) -> None:
    assert read(body)[0].recurs is recurs
