"""Whatever bytes come: events, Ignored or Rejected, and never anything else, which would bring the delivery again for ever.

`EXAMPLES` says how many of each kind (100 by default; 100,000 mutated events take five minutes on a busy core).
"""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Ignored, Rejected
from service.events.delivery import Delivery
from service.events.event import Event
from service.events.event_grid import validation_code
from service.events.reading import read_events
from tests.faults.mutations import FREQUENT, Publication
from tests.unit.test_events_pointers import BASES, DELETES, GOOGLE, POINTERS, WITH_RESOURCE
from tests.unit.test_events_shapes import BASE, SHAPES
from tests.unit.test_fhir_recordings import document

EXAMPLES = settings(max_examples=int(os.environ.get("EXAMPLES", "100")), deadline=None)
MOST = 100_000

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
REAL: list[tuple[object, dict[str, str], str]] = [
    *((body, headers, BASE) for body, headers, _, _ in SHAPES.values() if not isinstance(body, bytes)),
    *((body, {}, BASES[whose]) for whose, body, *_ in POINTERS.values()),
    *((body, {}, BASES[whose]) for whose, body in DELETES.values()),
    *((body, {}, BASES[whose]) for whose, body, _ in WITH_RESOURCE.values()),
    (document(), {}, BASE),
]
KNOWN_WORDS = {"not_json", "not_fhir", "foreign_base", "type_not_read", "nothing_notified", "handshake", "heartbeat"}


def taken(body: bytes, headers: dict[str, str] | None = None, key: str | None = None, base: str = BASE) -> list[Event]:
    """Read as the inbox does. Every event can be stored and told from others."""
    validation_code(body)
    delivery, word, events = Delivery(body, routing_key=key, headers=headers or {}), "stored", list[Event]()
    try:
        events = read_events(delivery, base, audio_documents=True)
    except (Rejected, Ignored) as outcome:
        word = outcome.reason
    assert word in KNOWN_WORDS if not events else word == "stored"
    for event in events:
        assert event.fingerprint
        assert 0 < len(event.id) <= 512
        assert 0 < len(event.source) <= 512
        assert event.version is None or 0 < len(event.version) <= 64
        assert event.resource is None or event.operation == "upsert"
        json.dumps(event.resource, allow_nan=False).encode()
    return events


@EXAMPLES
@given(
    st.binary(max_size=200), st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3), st.text(max_size=9)
)
def test_arbitrary_bytes(body: bytes, headers: dict[str, str], key: str) -> None:
    taken(body, headers, key)


@EXAMPLES
@given(JSON)
def test_arbitrary_json(value: Any) -> None:
    taken(json.dumps(value).encode())


@EXAMPLES
@given(st.sampled_from(REAL), st.sampled_from(FREQUENT), st.integers(0, 2**32))
def test_real_events_of_every_shape_mutated(real: tuple[Any, dict[str, str], str], mutate: Any, seed: int) -> None:
    body, headers, base = real
    whole = body if isinstance(body, dict) else {"topic": "t", "value": body}
    mutated = mutate(Publication(json.dumps(whole).encode(), "real"), Random(seed), MOST).body
    taken(mutated, headers, base=base)
    taken(b"[" + mutated + b"]", headers, base=base)


@EXAMPLES
@given(
    st.sampled_from(["action", "payloadType", "storeName", "versionId", "lastUpdatedTime"]),
    st.text(max_size=30),
    st.binary(max_size=99),
)
def test_attributes_in_headers(name: str, value: str, body: bytes) -> None:
    whole = {"action": "x", "payloadType": "NameOnly", "storeName": GOOGLE.split("/v1/")[1].removesuffix("/fhir"), name: value}  # fmt: skip
    taken(body, whole, base=GOOGLE)
    taken(body, {**whole, "payloadType": "FullResource"}, base=GOOGLE)


@pytest.mark.parametrize("number", range(len(REAL)))
def test_real_events_are_taken(number: int) -> None:
    body, headers, base = REAL[number]
    assert taken(json.dumps(body).encode(), headers, base=base)


@EXAMPLES
@given(st.sampled_from(REAL), st.randoms(use_true_random=False))
def test_the_order_of_keys_plays_no_part(real: tuple[Any, dict[str, str], str], random: Random) -> None:
    """Those who name their events by nothing but the body's bytes are not among the shapes above."""
    body, headers, base = real
    told = [taken(json.dumps(one).encode(), headers, base=base) for one in (body, shuffled(body, random))]
    assert [(e.source, e.id, e.fingerprint) for e in told[0]] == [(e.source, e.id, e.fingerprint) for e in told[1]]


def shuffled(node: Any, random: Random) -> Any:
    if isinstance(node, list):
        return [shuffled(child, random) for child in node]
    if not isinstance(node, dict):
        return node
    return {name: shuffled(node[name], random) for name in random.sample(sorted(node), len(node))}
