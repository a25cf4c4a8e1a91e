"""Whatever else arrives is Rejected or Ignored, never another exception: that would make the delivery come again for ever."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Ignored, Rejected
from service.events.delivery import Delivery
from service.events.reading import read_events
from tests.unit.test_events_shapes import (
    BASE,
    MEDIA,
    NUMBERED,
    SHAPES,
    Json,
    bundle,
    cloud_event,
    full,
    hapi,
    parameters,
    read,
    status,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WRONG = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    " ",
    "x" * 5000,
    "Media/../m",
    "é\U0001f600",
    [],
    [None],
    [[]],
    {},
    {"id": {}},
    "#p",
    "urn:uuid:1",
    "https://evil.test/Media/m1",
)


def taken(body: bytes, headers: dict[str, str] | None = None, key: str | None = None) -> None:
    """Reads it as the inbox does, fingerprint included."""
    with suppress(Rejected, Ignored):
        for event in read_events(Delivery(body, routing_key=key, headers=headers or {}), BASE):
            assert event.fingerprint
            assert len(event.id) <= 512
            assert len(event.source) <= 512
            assert event.version is None or len(event.version) <= 64
            json.dumps(event.resource, allow_nan=False).encode()


@given(
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from(["ce-id", "ce-source", "ce-specversion", "ce-type"]), st.text(max_size=9)),
)
def test_arbitrary_bytes_and_headers(body: bytes, headers: dict[str, str]) -> None:
    taken(body, headers)
    taken(json.dumps(MEDIA).encode(), headers)


@given(JSON, st.text(max_size=12))
def test_arbitrary_json_and_routing_keys(value: Any, key: str) -> None:
    taken(json.dumps(value).encode(), key=key)


@given(JSON, st.sampled_from(sorted(SHAPES)))
@settings(max_examples=60)
def test_arbitrary_json_in_a_valid_event(value: Any, shape: str) -> None:
    body, headers, _, _ = SHAPES[shape]
    if isinstance(body, dict):
        for path in paths(body):
            taken(json.dumps(replaced(body, path, value)).encode(), headers)


def paths(node: Any, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*here, key)
        yield from paths(child, (*here, key))


def replaced(body: Json, path: tuple[str | int, ...], value: Any) -> Json:
    changed: Any = copy.deepcopy(body)
    *parents, last = path
    node = changed
    for part in parents:
        node = node[part]
    node[last] = value
    return changed  # type: ignore[no-any-return]


@pytest.mark.parametrize("shape", [name for name, (body, *_) in SHAPES.items() if isinstance(body, dict)])
def test_a_wrong_type_at_every_path(shape: str) -> None:
    body, headers, _, _ = SHAPES[shape]
    for path in paths(body):
        for value in WRONG:
            taken(json.dumps(replaced(body, path, value)).encode(), headers)


def in_text(old: str, new: str) -> bytes:
    return json.dumps(MEDIA).replace(old, new).encode()


def nested(levels: int, inner: bytes = b"1") -> bytes:
    return (
        b'{"resourceType":"Media","id":"m1","status":"completed","x":'
        + b'{"a":' * levels
        + inner
        + b"}" * levels
        + b"}"
    )


REJECTED = {
    "nothing": (b"", "not_json"),
    "a word": (b"hello", "not_json"),
    "gzip": (gzip.compress(json.dumps(MEDIA).encode()), "not_json"),
    "UTF-16": (json.dumps(MEDIA).encode("utf-16"), "not_json"),
    "not UTF-8": (in_text("completed", "caf\u00e9").replace(b"\xc3\xa9", b"\xe9"), "not_json"),
    "NaN": (in_text('"2"', "NaN"), "not_json"),
    "a number beyond every double": (in_text('"2"', "1e999"), "not_json"),
    "a lone surrogate": (in_text("completed", "\\ud800"), "not_json"),
    "NUL": (in_text("completed", "comp\\u0000leted"), "not_fhir"),
    "NUL after a backslash": (in_text("completed", "\\\\\\u0000"), "not_fhir"),
    "5,000 levels": (nested(5000), "not_json"),
    "300 levels": (nested(300), "not_fhir"),
    "900 envelopes": (b'{"topic":"t","value":' * 900 + b"{}" + b"}" * 900, "not_fhir"),
    "900 CloudEvents": (b'{"specversion":"1.0","id":"a","source":"b","data":' * 900 + b"{}" + b"}" * 900, "not_fhir"),
    "an array": (json.dumps([MEDIA]).encode(), "not_fhir"),
    "a string": (b'"Media/m1"', "not_fhir"),
    "null": (b"null", "not_fhir"),
    "an empty object": (b"{}", "not_fhir"),
    "no id": ({**MEDIA, "id": None}, "not_fhir"),
    "an id with a slash": ({**MEDIA, "id": "a/b"}, "not_fhir"),
    "an id with a line break": ({**MEDIA, "id": "m1\n"}, "not_fhir"),
    "an id that is a folder": ({**MEDIA, "id": ".."}, "not_fhir"),
    "a long id": ({**MEDIA, "id": "x" * 65}, "not_fhir"),
    "an id of Arabic digits": ({**MEDIA, "id": "\u0661"}, "not_fhir"),
    "a number for an id": ({**MEDIA, "id": 7}, "not_fhir"),
    "no status": ({**MEDIA, "status": None}, "not_fhir"),
    "a type that is no word": ({**MEDIA, "resourceType": "Media/x"}, "not_fhir"),
    "a type that is a list": ({**MEDIA, "resourceType": ["Media"]}, "not_fhir"),
    "an Encounter elsewhere": ({**MEDIA, "encounter": {"reference": "https://evil.test/fhir/Encounter/e1"}}, "foreign_base"),
    "a focus elsewhere": (bundle(parameters(("1", "https://evil.test/Media/m1"))), "foreign_base"),
    "a HAPI pointer elsewhere": (hapi(pointer="https://evil.test/fhir/Media/m1", payload=None), "foreign_base"),
    "a HAPI message about nothing": (hapi(pointer=None, payload=None), "not_fhir"),
    "a HAPI payload that is not JSON": (hapi(payload="<Media/>"), "not_json"),
    "a focus that brings another resource": (
        bundle(status(("1", f"{BASE}/Media/m1")), {**full(MEDIA), "resource": {**MEDIA, "id": "m2"}}), "not_fhir"),
    "a conditional focus": (bundle(parameters(("1", "Media?identifier=x"))), "not_fhir"),
    "a transaction": ({**NUMBERED, "type": "transaction"}, "not_fhir"),
    "a Bundle without entries": ({"resourceType": "Bundle", "type": "history"}, "not_fhir"),
    "a CloudEvent without id": (cloud_event(id=None), "not_fhir"),
    "a CloudEvent without data": (cloud_event(None), "not_fhir"),
    "a CloudEvent with an unreadable data_base64": ({**cloud_event(None), "data_base64": "\u00e9"}, "not_fhir"),
    "a CloudEvent whose id holds a line break": (cloud_event(id="a\nb"), "not_fhir"),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
def test_what_cannot_be_understood_is_rejected_with_its_reason(name: str) -> None:
    body, reason = REJECTED[name]
    with pytest.raises(Rejected) as rejected:
        read(body)
    assert rejected.value.reason == reason


def test_a_backslash_before_u0000_is_plain_text() -> None:
    assert read(in_text("completed", "\\\\u0000"))


def test_of_duplicate_keys_the_last_one_counts() -> None:
    assert read(in_text('"id": "m1"', '"id": "m0", "id": "m1"'))[0].resource_id == "m1"


@pytest.mark.parametrize(
    ("reference", "encounter"),
    [
        ("Encounter/e1", "e1"),
        ("Encounter/e1/_history/3", "e1"),
        (f"{BASE}/Encounter/e1", "e1"),
        ("http://EHR.test:80/fhir/R4/Encounter/e1", "e1"),
        ("https://ehr.test:443/fhir/R4/Encounter/e1/_history/1", "e1"),
        ("#e1", None),
        ("urn:uuid:0b7f7c0e-54a0-5d5e-8f0b-3f6c0c1f2a11", None),
        ("Encounter?identifier=x|y", None),
        ("EpisodeOfCare/e1", None),
        ("Encounter/..", None),
        ("Encounter/e1/", None),
        ("", None),
        (7, None),
    ],
)
def test_how_a_media_names_its_encounter(reference: Any, encounter: str | None) -> None:
    assert read({**MEDIA, "encounter": {"reference": reference}})[0].encounter == encounter
