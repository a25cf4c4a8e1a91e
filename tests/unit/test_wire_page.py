"""docs/wire.md says what really happens: its examples are read and built here, and its words about them compared."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.errors import Ignored, Rejected
from service.events.delivery import Delivery
from service.events.event import Event
from service.events.reading import read_events
from service.fhir.document_reference import Note, document_reference, note_identifier, note_text
from service.fhir.profile import load_profile
from service.workflow.filed import content_revision
from service.workflow.filing import _authors

PAGE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
BASE = "https://ehr.example/fhir/R4"
PRODUCED = "The DocumentReference, profile `us-core`"


@dataclass(frozen=True)
class Section:
    """`verdicts` are the lines that say what the section's example becomes."""

    heading: str
    text: str

    @property
    def verdicts(self) -> list[str]:
        return re.findall(r"^(?:Becomes|Is ignored|Is rejected).*$", self.text, re.MULTILINE)

    @property
    def base(self) -> str:
        """The EHR's base URL in this example."""
        own = re.search(r"in this example is `(https://[^`]+)`", self.text)
        return own[1] if own else BASE

    def fenced(self, language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)


SECTIONS = [Section(*part.split("\n", 1)) for part in re.split(r"^##+ ", PAGE, flags=re.MULTILINE)[1:]]
CONSUMED = [section for section in SECTIONS if section.fenced("json") and section.heading != PRODUCED]


def test_the_page_has_an_example_of_every_shape() -> None:
    assert len(CONSUMED) == 15
    assert all(len(section.fenced("json")) == 1 and section.verdicts for section in CONSUMED)


@pytest.mark.parametrize("section", CONSUMED, ids=lambda section: section.heading)
def test_an_example_becomes_what_the_page_says(section: Section) -> None:
    assert verdicts(delivery(section), section.base) == section.verdicts


@pytest.mark.parametrize("heading", ["A raw Media", "A raw Encounter"])
def test_a_routing_key_that_ends_in_delete_makes_a_delete(heading: str) -> None:
    body = section_of(heading).fenced("json")[0].encode()
    (event,) = read_events(Delivery(body, routing_key="fhir.Media.delete"), BASE)
    assert event.operation == "delete"


def test_the_example_of_a_document_reference_is_what_is_built() -> None:
    assert produced() == document_reference(NOTE, load_profile("us-core"))


def test_the_decoded_text_is_that_of_the_example() -> None:
    (text,) = section_of(PRODUCED).fenced("text")
    assert text == note_text(NOTE)
    assert b64decode(produced()["content"][0]["attachment"]["data"]).decode() == text


def test_profile_r4_differs_as_the_page_says() -> None:
    expected = produced()
    del expected["category"], expected["content"][0]["format"]
    assert document_reference(NOTE, load_profile("r4")) == expected


def section_of(heading: str) -> Section:
    return next(section for section in SECTIONS if section.heading == heading)


def produced() -> Any:
    return json.loads(section_of(PRODUCED).fenced("json")[0])


def delivery(section: Section) -> Delivery:
    lines: list[Any] = [line.split(": ", 1) for block in section.fenced("http") for line in block.splitlines()]
    return Delivery(section.fenced("json")[0].encode(), headers=dict(lines))


def verdicts(delivery: Delivery, base: str) -> list[str]:
    try:
        return [in_words(event, base) for event in read_events(delivery, base, audio_documents=True)]
    except Ignored as ignored:
        return [f"Is ignored: `{ignored.reason}`."]
    except Rejected as rejected:
        return [f"Is rejected: `{rejected.reason}`."]


def in_words(event: Event, base: str) -> str:
    """As the page words it; the EHR's base URL is every event's source unless another is named."""
    whose = f" of `Encounter/{event.encounter}`" if event.encounter else ""
    pointer = " without its resource" if event.resource is None and event.operation != "delete" else ""
    source = f" of `{event.source}`" if event.source != base else ""
    return f"Becomes `{event.operation} {event.reference}`{whose}{pointer}, event `{event.id}`{source}."


NOTE = Note(
    identifier=note_identifier(
        BASE,
        "Encounter/enc-1",
        "corti-soap",
        content_revision("corti-soap", [{"media": "Media/rec-1", "sha256": "0" * 64}]),
    ),
    template="corti-soap",
    title="SOAP note",
    language="en",
    sections=[
        ("Subjective", "Has had a cough for ten days."),
        ("Objective", ""),
        ("Assessment", ""),
        ("Plan", "Will start amoxicillin, 500 milligrams."),
    ],
    patient="Patient/pat-1",
    encounter="Encounter/enc-1",
    period={"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T09:30:00Z"},
    media=["Media/rec-1"],
    authors=_authors("device+practitioner", {"reference": "Practitioner/prac-1"}),
    written_at=datetime(2026, 1, 5, 9, 40, tzinfo=UTC),
)
