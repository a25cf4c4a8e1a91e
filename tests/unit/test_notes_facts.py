"""Facts that a caller has established go into the note in the caller's own words."""

from __future__ import annotations

import pytest

from adapters.engine.notes.writer import ExtractiveWriter
from service.ambient.ports import GivenFact, SectionBrief, Segment
from tests.note_briefs import SOAP, SUMMARY

COUGH = Segment("s0", 0, 0, 0, "I have a cough.", 0, 1, "patient")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("cough for ten days", "cough for ten days."),
        ("od vision 6/9", "od vision 6/9."),
        ("  No known drug allergies. ", "No known drug allergies."),
        ("no", "no."),
        ("pH 7.2", "pH 7.2."),
        ("eGFR 45", "eGFR 45."),
        ("mg 0.8 low", "mg 0.8 low."),
        ("i.v. fluids given", "i.v. fluids given."),
        ("p-ANCA positive", "p-ANCA positive."),
        ("von Willebrand disease", "von Willebrand disease."),
        ("β-blocker stopped", "β-blocker stopped."),
        ("really 10 milligrams?", "really 10 milligrams?"),
        ('said "never"', 'said "never".'),
        ("two\nlines\0 and \ud800 more", "two; lines and more."),
        ("Fever: no\r\n\n Cough: yes.\nRest", "Fever: no; Cough: yes. Rest."),
        ("Aspirin,\nramipril", "Aspirin, ramipril."),
    ],
)
def test_a_fact_keeps_its_words_and_its_terms(given: str, written: str) -> None:
    drafts = ExtractiveWriter().write([SOAP[0], SUMMARY], [], [GivenFact("f1", given, "other")])
    assert [[(s.text, s.evidence) for s in draft.sentences] for draft in drafts] == [
        [(written, ("f1",))],
        [(f"What you told us: {written}", ("f1",))],
    ]


@pytest.mark.parametrize("given", ["", "  \n", "\0", ","])
def test_a_fact_without_words_is_left_out(given: str) -> None:
    (draft,) = ExtractiveWriter().write([SUMMARY], [], [GivenFact("f1", given, "plan")])
    assert draft.sentences == ()


def test_facts_come_before_what_was_said_and_share_a_sentence_of_the_same_words() -> None:
    facts = [
        GivenFact("f1", "smokes", "social-history"),
        GivenFact("f2", "Has a cough", "chief-complaint"),
        GivenFact("f3", "rest", "plan"),
    ]
    drafts = ExtractiveWriter().write(SOAP, [COUGH], facts)
    assert {draft.key: [(s.text, s.evidence) for s in draft.sentences] for draft in drafts} == {
        "subjective": [("smokes.", ("f1",)), ("Has a cough.", ("f2", "s0"))],
        "objective": [],
        "assessment": [],
        "plan": [("rest.", ("f3",))],
    }


def test_a_fact_stands_in_its_part_of_a_plain_section() -> None:
    facts = [GivenFact("f1", "wound dressed", "actions"), GivenFact("f2", "temperature 38.1", "vital-signs")]
    (draft,) = ExtractiveWriter().write([SUMMARY], [COUGH], facts)
    assert [sentence.text for sentence in draft.sentences] == [
        "What you told us: You have a cough.",
        "What was found: temperature 38.1.",
        "What happens next: wound dressed.",
    ]


def test_a_plain_section_quotes_what_unknown_speakers_said() -> None:
    said = [
        Segment("s0", 0, 0, 0, "Any allergies?", 0, 1, "unknown"),
        Segment("s1", 0, 0, 0, "No. Oh wait, penicillin.", 1, 2, "unknown"),
        Segment("s2", 0, 0, 0, "I think you have pleurisy.", 2, 3, "unknown"),
    ]
    drafts = ExtractiveWriter().write([SUMMARY, SectionBrief("allergies", ("allergies",), "plain")], said)
    answer = ('What was said: "Any allergies?" – "No. Oh wait, penicillin."', ("s0", "s1"))
    assert [[(sentence.text, sentence.evidence) for sentence in draft.sentences] for draft in drafts] == [
        [answer, ('"I think you have pleurisy."', ("s2",))],
        [answer],
    ]


def test_a_plain_section_tells_known_speakers_apart_from_unknown_ones() -> None:
    whoever = Segment("s1", 0, 0, 0, "My knee hurts.", 1, 2, "unknown")
    (draft,) = ExtractiveWriter().write([SUMMARY], [COUGH, whoever])
    assert [sentence.text for sentence in draft.sentences] == [
        "What you told us: You have a cough.",
        'What was said: "My knee hurts."',
    ]
