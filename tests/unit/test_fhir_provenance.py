"""What the EHR is told of a note's making: valid R4, and nothing that was said."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from service.fhir.codes import DEVICE_SYSTEM
from service.fhir.device import Scribe, device, device_token
from service.fhir.provenance import Origin, is_about, provenance
from service.sandbox.validation import validate

BASE = "https://ehr.test/fhir/R4"
SCRIBE = Scribe([("software", "1.2.0"), ("speech model", "tiny.en"), ("writer", "extractive")])
ORIGIN = Origin(
    note="DocumentReference/d1",
    version="1",
    template="corti-soap",
    media=["Media/m1", "Media/m2"],
    encounter="Encounter/e1",
    practitioner="Practitioner/d7",
    organization="Organization/o1",
    recorded=datetime(2026, 1, 5, 10, 30, tzinfo=timezone(timedelta(hours=1))),
)


def codes(concepts: list[dict[str, Any]]) -> list[str]:
    return [coding["code"] for concept in concepts for coding in concept["coding"]]


def test_the_device_is_artificial_intelligence_of_these_versions() -> None:
    made = device(SCRIBE)
    assert made["identifier"] == [{"system": DEVICE_SYSTEM, "value": "ambient-fhir_1.2.0_tiny.en_extractive"}]
    assert codes([made["type"]]) == ["Artificial-Intelligence"]
    assert [version["value"] for version in made["version"]] == ["1.2.0", "tiny.en", "extractive"]
    validate("Device", made)


def test_another_version_of_anything_is_another_device() -> None:
    newer = Scribe([*SCRIBE.versions[:2], ("writer", "another")])
    assert device_token(newer) != device_token(SCRIBE)


def test_what_would_need_escaping_in_a_search_is_no_part_of_the_identifier() -> None:
    odd = Scribe([("software", "1.2.0+local"), ("speech model", "a|b, c&d"), ("writer", "x" * 500)])
    assert device_token(odd).removeprefix(f"{DEVICE_SYSTEM}|").startswith("ambient-fhir_1.2.0-local_a-b-c-d_xxx")
    assert len(odd.name) == 100


@pytest.mark.parametrize("known_as", ["Device/5", None])
@pytest.mark.parametrize("origin", [ORIGIN, replace(ORIGIN, version=None, encounter=None, practitioner=None, organization=None)])  # fmt: skip
def test_it_is_valid_whatever_is_known(origin: Origin, known_as: str | None) -> None:
    validate("Provenance", provenance(origin, SCRIBE, known_as))


def test_it_says_that_an_ai_wrote_the_note_and_nobody_verified_it() -> None:
    made = provenance(ORIGIN, SCRIBE, "Device/5")
    assert made["target"] == [{"reference": "DocumentReference/d1/_history/1"}]
    assert made["recorded"] == "2026-01-05T09:30:00.000Z"
    assert codes(made["reason"]) == ["AIAST"]
    assert codes([made["activity"]]) == ["CREATE"]
    scribe, practitioner = made["agent"]
    assert codes([scribe["type"]]) == ["author"]
    assert codes(scribe["role"]) == ["Artificial-Intelligence"]
    assert scribe["who"]["reference"] == "Device/5"
    assert scribe["onBehalfOf"] == practitioner["onBehalfOf"] == {"reference": "Organization/o1"}
    assert codes([practitioner["type"]]) == ["informant"]
    assert practitioner["who"] == {"reference": "Practitioner/d7"}


def test_it_names_what_the_note_was_made_from_by_ids_alone() -> None:
    entities = provenance(ORIGIN, SCRIBE, "Device/5")["entity"]
    sources = [e["what"]["reference"] for e in entities if e["role"] == "source"]
    assert sources == ["Media/m1", "Media/m2", "Encounter/e1"]
    assert [e["what"] for e in entities if e["role"] == "derivation"] == [
        {"identifier": {"system": "urn:ambient-fhir:template", "value": "corti-soap"}}
    ]


def test_a_scribe_that_the_ehr_does_not_know_is_contained() -> None:
    made = provenance(ORIGIN, SCRIBE, None)
    assert made["contained"] == [{**device(SCRIBE), "id": "scribe"}]
    assert made["agent"][0]["who"]["reference"] == "#scribe"
    assert "contained" not in provenance(ORIGIN, SCRIBE, "Device/5")


def as_kept(**changes: Any) -> dict[str, Any]:
    """What an EHR gives back of it."""
    return json.loads(json.dumps(provenance(ORIGIN, SCRIBE, "Device/5"))) | {"id": "p1"} | changes


KNOWN = replace(SCRIBE, devices={"ehr": "Device/5", "other": None})
ABOUT = [
    ("as it was sent", as_kept(), True),
    ("on our base", as_kept(target=[{"reference": f"{BASE}/DocumentReference/d1"}]), True),
    ("of a later version", as_kept(target=[{"reference": "DocumentReference/d1/_history/7"}]), True),
    ("of another note", as_kept(target=[{"reference": "DocumentReference/d2"}]), False),
    ("of another server", as_kept(target=[{"reference": "https://other.test/DocumentReference/d1"}]), False),
    ("without identifiers", as_kept(agent=[{"who": {"reference": f"{BASE}/Device/5"}}]), True),
    ("of a contained scribe", {**provenance(ORIGIN, SCRIBE, None), "agent": [{"who": {"reference": "#scribe"}}]}, True),
    ("of a person", as_kept(agent=[{"who": {"reference": "Practitioner/d7"}}]), False),
    ("of another device", as_kept(agent=[{"who": {"reference": "Device/6", "identifier": {"value": "x"}}}]), False),
    ("of nobody", as_kept(agent=[{"who": {}}, {}]), False),
    ("of odd parts", as_kept(target={"reference": "DocumentReference/d1"}, agent="x", contained=[[]]), False),
]


@pytest.mark.parametrize(("found", "expected"), [case[1:] for case in ABOUT], ids=[case[0] for case in ABOUT])
def test_our_own_is_known_again(found: dict[str, Any], expected: bool) -> None:
    assert is_about(found, "DocumentReference/d1", KNOWN, BASE) is expected
