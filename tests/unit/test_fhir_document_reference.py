"""A note as a DocumentReference: golden, and its elements one by one. Its words: test_fhir_document_reference_contents.py."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.fhir.codes import DOCUMENT_TYPES
from service.fhir.document_reference import Note, document_reference, note_identifier
from service.fhir.profile import load_profile

US_CORE, R4 = load_profile("us-core"), load_profile("r4")
NOTE = Note(
    identifier="0b7f7c0e-54a0-5d5e-8f0b-3f6c0c1f2a11",
    template="corti-soap",
    title="SOAP note",
    language="en",
    sections=[("Subjective", "A cough for ten days."), ("Plan", " ")],
    patient="Patient/p1",
    encounter="Encounter/e1",
    period={"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T09:15:00Z", "id": "x"},
    media=["Media/m1"],
    authors=[{"type": "Device", "display": "scribe"}, {"reference": "Practitioner/d1"}],
    written_at=datetime(2026, 1, 5, 11, 0, 0, 123456, timezone(timedelta(hours=2))),
)
TEXT = "AI-drafted note. Not yet reviewed by a clinician.\n\nSubjective\nA cough for ten days.\n\nPlan\nNothing recorded.\n"
GOLDEN = {
    "resourceType": "DocumentReference",
    "meta": {"security": [{
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST", "display": "Artificial Intelligence asserted",
    }]},
    "identifier": [{"system": "urn:ambient-fhir:note", "value": "0b7f7c0e-54a0-5d5e-8f0b-3f6c0c1f2a11"}],
    "status": "current",
    "docStatus": "preliminary",
    "type": {"coding": [{"system": "http://loinc.org", "code": "11506-3"}], "text": "Progress note"},
    "category": [{"coding": [{
        "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "code": "clinical-note", "display": "Clinical Note",
    }]}],
    "subject": {"reference": "Patient/p1"},
    "date": "2026-01-05T09:00:00.123Z",
    "author": [{"type": "Device", "display": "scribe"}, {"reference": "Practitioner/d1"}],
    "description": "AI-drafted SOAP note, for review",
    "content": [{
        "attachment": {
            "contentType": "text/plain; charset=utf-8", "language": "en", "data": base64.b64encode(TEXT.encode()).decode(), "size": len(TEXT),
            "hash": base64.b64encode(hashlib.sha1(TEXT.encode()).digest()).decode(), "title": "SOAP note", "creation": "2026-01-05T09:00:00.123Z",
        },
        "format": {"system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient"},
    }],
    "context": {
        "encounter": [{"reference": "Encounter/e1"}],
        "period": {"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T09:15:00Z"},
        "related": [{"reference": "Media/m1"}],
    },
}  # fmt: skip


def test_the_whole_resource() -> None:
    assert document_reference(NOTE, US_CORE) == GOLDEN


def test_the_plain_profile_sends_nothing_of_one_country() -> None:
    resource = document_reference(NOTE, R4)
    assert "category" not in resource
    assert "format" not in resource["content"][0]
    assert {"type", "subject", "docStatus", "meta"} <= resource.keys()


def test_a_redraft_says_what_it_replaces() -> None:
    resource = document_reference(replace(NOTE, replaces="DocumentReference/1"), US_CORE)
    assert resource["relatesTo"] == [{"code": "replaces", "target": {"reference": "DocumentReference/1"}}]


@pytest.mark.parametrize("template", [*DOCUMENT_TYPES, "one-of-my-own"])
def test_us_core_finds_what_it_requires_for_every_template(template: str) -> None:
    resource = document_reference(replace(NOTE, template=template), US_CORE)
    assert re.fullmatch(r"\d{5}-\d", resource["type"]["coding"][0]["code"])
    assert resource["category"][0]["coding"][0]["code"] == "clinical-note"
    assert resource["subject"]["reference"] == "Patient/p1"
    assert resource["content"][0]["attachment"]["data"]


@pytest.mark.parametrize(
    ("period", "kept"),
    [
        ({"start": "2026-01-05"}, {"start": "2026-01-05"}),
        ({"start": "2026-01-05T09:00", "end": "2026-01-05T09:15:00Z"}, {"end": "2026-01-05T09:15:00Z"}),
        ({"start": "yesterday"}, None),
        ({"start": 7, "end": None}, None),
        ({"start": "2026-02-30"}, None),
        ({"start": "2026-01-05T10:00:00+01:00", "end": "2026-01-05T08:59:59Z"}, {"start": "2026-01-05T10:00:00+01:00"}),
        (None, None),
    ],
)
def test_an_odd_period_of_the_encounter_does_not_keep_the_note_out(period: Any, kept: Any) -> None:
    resource = document_reference(replace(NOTE, period=period), US_CORE)
    assert resource["context"].get("period") == kept


def test_a_note_that_would_be_invalid_is_refused_without_its_words() -> None:
    with pytest.raises(ValueError, match="language") as refused:
        document_reference(replace(NOTE, language=" Mrs. Hale"), US_CORE)
    assert "Hale" not in str(refused.value)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="|/"), min_size=1)


@given(WORDS, WORDS, WORDS, WORDS, st.integers(0, 3), WORDS)
def test_an_identifier_depends_on_each_of_its_parts_and_on_nothing_else(
    a: str, b: str, c: str, d: str, part: int, other: str
) -> None:
    parts = [a, b, c, d]
    assert note_identifier(*parts) == note_identifier(*parts)
    changed = [*parts[:part], other, *parts[part + 1 :]]
    assert (note_identifier(*parts) == note_identifier(*changed)) == (parts == changed)


def test_an_identifier_is_the_same_in_every_release() -> None:
    known = note_identifier("https://ehr.test/fhir/R4/", "Encounter/e1", "corti-soap", "r1")
    assert known == note_identifier("https://ehr.test/fhir/R4", "Encounter/e1", "corti-soap", "r1")
    assert known == "4197cadf-a63c-527f-abd8-6ac666777151"


def test_times_are_written_in_utc() -> None:
    assert (
        document_reference(replace(NOTE, written_at=datetime(2026, 1, 1, tzinfo=UTC)), R4)["date"]
        == "2026-01-01T00:00:00.000Z"
    )


def test_a_time_without_a_zone_is_refused_and_not_taken_for_the_machines() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        document_reference(replace(NOTE, written_at=datetime(2026, 1, 1)), R4)  # noqa: DTZ001


def test_the_organization_that_keeps_the_chart_is_custodian() -> None:
    assert document_reference(replace(NOTE, custodian="Organization/o1"), US_CORE)["custodian"] == {
        "reference": "Organization/o1"
    }


def test_further_labels_stand_beside_the_one_that_says_a_machine_wrote_it() -> None:
    restricted = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    labels = document_reference(replace(NOTE, labels=[restricted]), US_CORE)["meta"]["security"]
    assert [label["code"] for label in labels] == ["AIAST", "R"]
