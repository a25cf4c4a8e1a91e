"""Whatever was said: a note holds nothing that was not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.engine.notes.statements import statements_of
from adapters.engine.notes.utterances import utterances_of
from adapters.engine.notes.writer import ExtractiveWriter
from service.ambient.fact_groups import FACT_GROUPS
from service.ambient.ports import GivenFact, Segment, Sentence
from tests.note_briefs import ONE_FOR_EACH_GROUP, SOAP, SUMMARY

WRITER = ExtractiveWriter()

GLUE_TEXT = (
    "patient doctor denies reports reported asked answers answered advised impression plan the their your you is are was "
    "were has have had does do did will would not mg something someone somewhere told said what found happens next us "
    "no never cannot must should could need it and"
)  # fmt: skip
NEGATORS = re.compile(
    r"\b(?:no|not|nope|nah|never|none|nor|neither|without|nothing|cannot|don't)\b|n't\b", re.IGNORECASE
)
NEGATIONS_OF_THE_WRITER = re.compile(r"\b(?:denies|no|not|never|cannot)\b", re.IGNORECASE)

WORD_LIST = (
    "I I'm I've I'd I'll you your you're my me we us no not don't haven't yes yeah have has take feel went quit pain chest left "
    "right lung cough fever penicillin lisinopril ten 38.4 100 milligrams percent any do are did is it was when if because and "
    "or but think will should please come back week temperature crackles hear the a of in on never ever without Dr. Mrs. um , . ? ! "
)
SPOKEN = st.lists(st.sampled_from(WORD_LIST.split()), max_size=14).map(
    lambda words: re.sub(r" ([,.?!])", r"\1", " ".join(words))
)
QUESTIONS = st.sampled_from(
    [
        "Any chest pain or fever?",
        "Do you smoke?",
        "Are you taking any tablets?",
        "How high was the fever?",
        "Have you ever had asthma?",
        "What brings you in today?",
        "Any family history of heart disease?",
        "What are you allergic to?",
        "Are you worried about anything?",
    ]
)
ANSWERS = st.tuples(st.sampled_from(["Yes.", "No.", "No, ", "Yes, ", "Not really.", "I don't. "]), SPOKEN).map(" ".join)
ROLES = st.sampled_from(["doctor", "patient", "other", "unknown"])


def segments(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[Segment]]:
    turns = st.lists(st.tuples(ROLES, texts), max_size=8)
    return turns.map(
        lambda said: [
            Segment(f"s{n}", 0, 0, 0, text, n * 1000, n * 1000 + 900, role) for n, (role, text) in enumerate(said)
        ]
    )


SPEECH = segments(st.one_of(SPOKEN, QUESTIONS, ANSWERS))
ANYTHING = segments(
    st.one_of(
        st.text(),
        st.sampled_from(["", "\0", "🫁 🤒?", "هل لديك ألم؟ لا.", "I \u202e don't", "İ ß ŉ I'm", '"""', "\ud800"]),
    )
)


def written(said: list[Segment]) -> list[Sentence]:
    return [sentence for draft in WRITER.write([*SOAP, SUMMARY], said) for sentence in draft.sentences]


def evidence_text(sentence: Sentence, said: list[Segment]) -> str:
    return " ".join(segment.text for segment in said if segment.id in sentence.evidence).replace("’", "'")


def evidence_by_text(sentences: Iterable[Sentence]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for sentence in sentences:
        found.setdefault(sentence.text, set()).update(sentence.evidence)
    return found


def stem(word: str) -> str:
    return re.sub(r"(?:ies|es|s|y|e)$", "", word)


def content_words(text: str) -> set[str]:
    words = re.findall(r"[^\W\d_]+", re.sub(r"'(?:s|m|ve|re|ll|d|t)\b|n't\b", " ", text.casefold()))
    return {stem(word) for word in words}


GLUE_STEMS = {stem(word) for word in GLUE_TEXT.split()}


@settings(max_examples=120, deadline=None)
@given(SPEECH)
def test_evidence_is_made_of_given_segments(said: list[Segment]) -> None:
    known = {segment.id for segment in said}
    assert all(sentence.evidence and set(sentence.evidence) <= known for sentence in written(said))


@settings(max_examples=120, deadline=None)
@given(SPEECH)
def test_every_number_occurs_in_the_evidence(said: list[Segment]) -> None:
    for sentence in written(said):
        spoken = re.findall(r"\d+(?:\.\d+)?", evidence_text(sentence, said))
        assert set(re.findall(r"\d+(?:\.\d+)?", sentence.text)) <= set(spoken)


@settings(max_examples=200, deadline=None)
@given(SPEECH)
def test_every_content_word_occurs_in_the_evidence(said: list[Segment]) -> None:
    for sentence in written(said):
        assert content_words(sentence.text) - GLUE_STEMS <= content_words(evidence_text(sentence, said))


@settings(max_examples=200, deadline=None)
@given(SPEECH)
def test_no_sentence_negates_what_was_not_negated(said: list[Segment]) -> None:
    for sentence in written(said):
        if NEGATIONS_OF_THE_WRITER.search(sentence.text):
            assert NEGATORS.search(evidence_text(sentence, said))


@settings(max_examples=120, deadline=None)
@given(SPEECH)
def test_findings_opinions_and_plans_rest_on_the_doctors_segments(said: list[Segment]) -> None:
    roles = {segment.id: segment.role for segment in said}
    for draft in WRITER.write(SOAP[1:], said):
        assert all(roles[name] == "doctor" for sentence in draft.sentences for name in sentence.evidence)


@settings(max_examples=120, deadline=None)
@given(SPEECH)
def test_every_statement_is_in_one_known_group(said: list[Segment]) -> None:
    assert {statement.group for statement in statements_of(utterances_of(said))} <= set(FACT_GROUPS)


@settings(max_examples=120, deadline=None)
@given(SPEECH)
def test_a_section_holds_what_its_groups_hold_one_by_one(said: list[Segment]) -> None:
    alone = {draft.key: draft.sentences for draft in WRITER.write(ONE_FOR_EACH_GROUP, said)}
    for brief, draft in zip(SOAP, WRITER.write(SOAP, said), strict=True):
        together = [sentence for group in brief.groups for sentence in alone[group]]
        assert evidence_by_text(draft.sentences) == evidence_by_text(together)


@settings(max_examples=60, deadline=None)
@given(SPEECH, st.lists(st.tuples(st.text(), st.sampled_from([*FACT_GROUPS])), max_size=6))
def test_every_fact_with_words_is_in_the_note_and_in_no_section_that_did_not_ask_for_it(
    said: list[Segment], given_facts: list[tuple[str, str]]
) -> None:
    facts = [GivenFact(f"f{n}", text, group) for n, (text, group) in enumerate(given_facts)]
    drafts = {draft.key: draft.sentences for draft in WRITER.write([*ONE_FOR_EACH_GROUP, SUMMARY], said, facts)}
    for fact in facts:
        holding = {key for key, sentences in drafts.items() if any(fact.id in s.evidence for s in sentences)}
        assert holding in ({fact.group, "summary"}, set())
        assert holding or not any(letter.isalnum() for letter in fact.text)
    for sentences in drafts.values():
        json.dumps([sentence.text for sentence in sentences], ensure_ascii=False).encode()


@settings(max_examples=120, deadline=None)
@given(ANYTHING)
def test_any_text_can_be_written_about_and_stored(said: list[Segment]) -> None:
    first = written(said)
    assert first == written(said)
    for sentence in first:
        json.dumps(sentence.text).encode()
        assert "\0" not in sentence.text.encode().decode()


@pytest.mark.parametrize(
    "words",
    [
        "Mrs. ",
        "Temperature ",
        "I ",
        "you ",
        "um ",
        "I I'm ",
        "so, ",
        "right, ",
        "? ",
        "no, ",
        "and I take ",
        "my mother had ",
        "no pain, ",
    ],
)
@pytest.mark.parametrize("role", ["doctor", "patient", "unknown"])
def test_an_endless_segment_is_written_about_in_good_time(words: str, role: str) -> None:
    question = Segment("q", 0, 0, 0, "Any pain?", 0, 1, "doctor")
    began = time.process_time()
    answer = Segment("a", 0, 0, 0, "No, I don't.", 4, 5, "patient")
    written([question, Segment("s", 0, 0, 0, words * 3000, 2, 3, role), answer])
    assert time.process_time() - began < 2
