"""What a writer is given of a request's context."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from service.ambient.document_context import Material, material_of
from service.ambient.errors import ApiError
from service.ambient.wire.documents import Context

SAID = {"type": "transcript", "data": {"text": "I have a cough."}}
TEXT = {"type": "string", "data": "One."}
FACTS = {"type": "facts", "data": [{"text": "Allergic to penicillin.", "group": "allergies"}]}


def read(*context: dict[str, Any]) -> Material:
    return material_of(TypeAdapter(list[Context]).validate_python(list(context)))


def test_segments_keep_what_the_transcript_says_of_them() -> None:
    data = {
        "text": "Hm.",
        "id": "s7",
        "role": "patient",
        "channel": 1,
        "participant": 2,
        "speakerId": 3,
        "start": 4,
        "end": 5,
    }
    (segment,) = read({"type": "transcript", "data": data}).segments
    assert (segment.id, segment.role, segment.channel, segment.participant) == ("s7", "patient", 1, 2)
    assert (segment.speaker_id, segment.start, segment.end) == (3, 4, 5)


@pytest.mark.parametrize(
    ("given", "role"), [(None, "unknown"), ("nurse", "unknown"), ("", "unknown"), ("other", "other")]
)
def test_a_role_that_is_not_known_is_unknown(given: str | None, role: str) -> None:
    (segment,) = read({"type": "transcript", "data": {"text": "Hm.", "role": given}}).segments
    assert (segment.role, segment.speaker_id) == (role, -1)


def test_segments_without_an_id_are_named_by_their_place() -> None:
    assert [segment.id for segment in read(SAID, SAID).segments] == ["c0", "c1"]


def test_text_is_read_line_by_line_and_nobody_knows_who_speaks() -> None:
    segments = read({"type": "string", "data": "One.\n\n  \nTwo.\r\n"}).segments
    assert [(segment.id, segment.text, segment.role) for segment in segments] == [
        ("c0", "One.", "unknown"), ("c1", "Two.", "unknown"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "group"),
    [
        ("allergies", "allergies"),
        ("Medications prior to visit", "medications-prior-to-visit"),
        ("ALLERGIES ", "allergies"),
        ("hobbies", "other"),
        ("", "other"),
        (None, "other"),
    ],
)
def test_facts_are_given_with_their_group_by_key_or_name(given: str | None, group: str) -> None:
    material = read({"type": "facts", "data": [{"text": "First."}, {"text": "Second.", "group": given}]})
    assert material.segments == ()
    assert [(fact.id, fact.text) for fact in material.facts] == [("c0", "First."), ("c1", "Second.")]
    assert material.facts[1].group == group


@pytest.mark.parametrize("context", [[SAID, TEXT], [TEXT, SAID], [TEXT, TEXT], [FACTS, FACTS], [SAID, FACTS]])
def test_several_objects_are_allowed_only_when_all_are_transcripts(context: list[dict[str, Any]]) -> None:
    with pytest.raises(ApiError) as refused:
        read(*context)
    assert (refused.value.status, refused.value.kind) == (400, "A0015")


def test_segments_whose_ids_repeat_go_by_their_places() -> None:
    """Two transcripts of one visit both begin with `s0`."""
    for ids in (("s0", "s1", "s0"), ("c1", None, "s2")):
        material = read(*({"type": "transcript", "data": {"text": "Hm.", "id": given}} for given in ids))
        assert [segment.id for segment in material.segments] == ["c0", "c1", "c2"]


@pytest.mark.parametrize(
    ("context", "kind"),
    [
        ({"type": "string", "data": "a\n" * 10_001}, "A0016"),
        ({"type": "string", "data": "a" * 500_001}, "A0016"),
    ],
)
def test_more_than_a_writer_can_read_is_refused(context: dict[str, Any], kind: str) -> None:
    with pytest.raises(ApiError) as refused:
        read(context)
    assert (refused.value.status, refused.value.kind) == (400, kind)


def test_as_much_as_a_writer_can_read_is_taken() -> None:
    assert len(read({"type": "string", "data": "a\n" * 10_000}).segments) == 10_000
    assert len(read({"type": "string", "data": "a" * 500_000}).segments) == 1
