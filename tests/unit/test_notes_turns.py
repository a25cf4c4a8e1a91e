"""An answer of several sentences is told as one: no sentence of it may say something else alone than in its turn."""

from __future__ import annotations

import time

import pytest

from adapters.engine.notes.writer import ExtractiveWriter
from service.ambient.ports import Segment, Sentence
from tests.note_briefs import ONE_FOR_EACH_GROUP, SOAP, SUMMARY

HPI = "history-of-present-illness"
MEDICATIONS = "medications-prior-to-visit"
Told = dict[str, list[tuple[str, str]]]


def told(*turns: str) -> Told:
    """Group → sentences with their segments. Turns as "D: text", "P: text" or "?: text"."""
    roles = {"D": "doctor", "P": "patient", "?": "unknown"}
    segments = [Segment(f"s{n}", 0, 0, 0, turn[3:], n, n, roles[turn[0]]) for n, turn in enumerate(turns)]
    drafts = ExtractiveWriter().write(ONE_FOR_EACH_GROUP, segments)
    return {d.key: [(s.text, " ".join(s.evidence)) for s in d.sentences] for d in drafts if d.sentences}


TORN = [
    ("Any allergies?", "No. Oh wait, penicillin.", "allergies"),
    ("Any allergies?", "No. Just penicillin.", "allergies"),
    ("Any allergies?", "None. Except penicillin.", "allergies"),
    ("Any allergies?", "No. Does penicillin count?", "allergies"),
    ("Any allergies?", "No. Hmm, penicillin.", "allergies"),
    ("Any allergies?", "No. I mean yes, nuts.", "allergies"),
    ("Any allergies?", "No. Actually, I'm allergic to nuts.", "allergies"),
    ("Any allergies?", "No. I'm allergic to nuts.", "allergies"),
    ("Any allergies?", "No. I get hives from nuts.", "allergies"),
    ("Any allergies?", "Yes. Penicillin.", "allergies"),
    ("Any allergies?", "Yes. It's penicillin.", "allergies"),
    ("Any allergies?", "No, none. Apart from nuts.", "allergies"),
    ("Any suicidal thoughts?", "No. Well, sometimes.", HPI),
    ("Any chest pain?", "No. Actually yes, yesterday.", HPI),
    ("Any chest pain?", "No. Actually, my left arm hurts when I walk up the stairs to my flat.", HPI),
    ("Any chest pain?", "No. Oh, I had a funny fainting spell with my heart racing on Monday.", HPI),
    ("Any chest pain?", "No. Yes.", HPI),
    ("Any chest pain?", "No. I do.", HPI),
    ("Any chest pain?", "No. I had some on Monday.", HPI),
    ("Any chest pain?", "No. I used to when I was at university but then it all went away.", HPI),
    ("Any chest pain?", "No. It only hurts when I breathe in very deeply or climb stairs.", HPI),
    ("Any chest pain?", "No. I have bad chest pain at night when I lie down to sleep.", HPI),
    ("Any chest pain?", "No, I don't have any. At night sometimes.", HPI),
    ("Do you smoke?", "No. I mean, only at parties.", "social-history"),
    ("Do you smoke?", "No. I quit five years ago.", "social-history"),
    ("Regular medication?", "Yes. Ramipril. And aspirin.", MEDICATIONS),
    ("Any blood thinners?", "No. Only aspirin.", MEDICATIONS),
    ("Family: diabetes?", "Yes. My mother.", "family-history"),
]


@pytest.mark.parametrize(("question", "answer", "group"), TORN)
def test_an_answer_of_several_sentences_is_quoted_whole_with_its_question(
    question: str, answer: str, group: str
) -> None:
    whole = [(f'Asked "{question}", answers "{answer}".'.replace('.".', '."').replace('?".', '?"'), "s0 s1")]
    assert told(f"D: {question}", f"P: {answer}") == {group: whole}


@pytest.mark.parametrize(
    "between", ["Okay.", "I see.", "Mm-hm.", "Right.", "Uh-huh.", "Okay?", "No?", "Go on.", "Got it."]
)
def test_a_doctors_interjection_does_not_end_the_answer(between: str) -> None:
    assert told("D: Any allergies?", "P: No.", f"D: {between}", "P: Oh wait, penicillin.") == {
        "allergies": [('Asked "Any allergies?", answers "No. Oh wait, penicillin."', "s0 s1 s3")]
    }


def test_an_interjection_of_an_unknown_speaker_does_not_end_a_patients_answer() -> None:
    assert told("D: Any allergies?", "P: No.", "?: Okay.", "P: Oh wait, penicillin.") == {
        "allergies": [('Asked "Any allergies?", answers "No. Oh wait, penicillin."', "s0 s1 s3")]
    }


def test_the_sentences_of_an_answer_may_be_in_several_segments() -> None:
    assert told("D: Any allergies?", "P: Yes.", "P: Penicillin and latex.") == {
        "allergies": [('Asked "Any allergies?", answers "Yes. Penicillin and latex."', "s0 s1 s2")]
    }


ALONE = [
    ("No. I had a cough last week.", {"allergies": "Denies allergies.", HPI: "Had a cough last week."}),
    ("No. My knee hurts.", {"allergies": "Denies allergies.", HPI: "The patient's knee hurts."}),
    (
        "No. I take lisinopril every day.",
        {"allergies": "Denies allergies.", MEDICATIONS: "Takes lisinopril every day."},
    ),
    ("No. Thank you, doctor.", {"allergies": "Denies allergies."}),
    ("No. None.", {"allergies": "Denies allergies."}),
    ("No. I don't.", {"allergies": "Denies allergies."}),
    (
        "No. Last Sunday my son drove me to the coast and the whole family had fish and chips for lunch.",
        {
            "allergies": "Denies allergies.",
            HPI: "Last Sunday their son drove the patient to the coast and the whole family had fish and chips for lunch.",
        },
    ),
]


@pytest.mark.parametrize(("answer", "said"), ALONE)
def test_sentences_that_stand_alone_stay_statements_of_their_own(answer: str, said: dict[str, str]) -> None:
    found = told("D: Any allergies?", f"P: {answer}")
    assert {group: " ".join(text for text, _ in sentences) for group, sentences in found.items()} == said


def test_a_story_inside_an_answer_is_told_by_itself() -> None:
    found = told(
        "D: Any allergies?", "P: No. I take lisinopril every day. I have a bad cough.", "P: Oh, and penicillin."
    )
    assert found == {
        "allergies": [('Asked "Any allergies?", answers "No. … I have a bad cough. Oh, and penicillin."', "s0 s1 s2")],
        MEDICATIONS: [("Takes lisinopril every day.", "s1")],
    }


def test_an_exception_is_told_with_what_it_limits_where_nothing_was_asked() -> None:
    assert told("P: I'm not allergic to anything. Except penicillin.") == {
        "allergies": [('Patient: "I\'m not allergic to anything. Except penicillin."', "s0")]
    }
    assert told("P: No fever. Actually, I had a fever on Monday.") == {
        "chief-complaint": [('Patient: "No fever. Actually, I had a fever on Monday."', "s0")]
    }


@pytest.mark.parametrize(
    "answer", ["No but penicillin.", "No – wait, penicillin.", "No I am, to nuts.", "No just nuts."]
)
def test_a_no_without_a_comma_is_quoted_with_what_follows_it(answer: str) -> None:
    assert told("D: Any allergies?", f"P: {answer}") == {
        "allergies": [(f'Asked "Any allergies?", answers "{answer}"', "s0 s1")]
    }


@pytest.mark.parametrize("answer", ["No. Oh wait, penicillin.", "Yes. Penicillin.", "None. Except nuts."])
def test_an_answer_of_unknown_speakers_is_quoted_whole_with_its_question(answer: str) -> None:
    first, second = answer.split(". ")
    assert told("?: Any allergies?", f"?: {answer}") == {"allergies": [(f'"Any allergies?" – "{answer}"', "s0 s1")]}
    assert told("?: Any allergies?", f"?: {first}.", "?: Okay.", f"?: {second}") == {
        "allergies": [(f'"Any allergies?" – "{first}." – "{second}"', "s0 s1 s3")]
    }


def test_what_an_unknown_speaker_says_later_is_a_statement_of_its_own() -> None:
    assert told("?: Any allergies?", "?: No.", "?: I'm going to listen to your chest.") == {
        "allergies": [('"Any allergies?" – "No."', "s0 s1")],
        HPI: [('"I\'m going to listen to your chest."', "s2")],
    }


QUALIFIED = "in my thigh|on the left|at night|for a week|from walking|with exercise|since Monday|over my hip|under my knee|when I run|only at night|just a bit|behind my knee|the other leg|never|my thigh|I do sometimes"  # fmt: skip


@pytest.mark.parametrize("rest", QUALIFIED.split("|"))
def test_a_no_that_goes_on_with_a_qualifier_is_quoted(rest: str) -> None:
    found = told("D: Any pain in your calf?", f"P: No, {rest}.")
    assert found == {HPI: [(f'Asked "Any pain in your calf?", answers "No, {rest}."', "s0 s1")]}


def test_an_answer_without_end_is_quoted_in_parts_each_with_its_question() -> None:
    found = told("D: Any allergies?", "P: No. " + "Oh wait, nuts. " * 200)
    texts = [text for text, _ in found["allergies"]]
    assert list(found) == ["allergies"]
    assert all(text.startswith('Asked "Any allergies?", answers "') and len(text) < 1200 for text in texts)


def test_only_the_last_of_many_questions_are_quoted() -> None:
    found = told(*["D: Any fever? Any cough?"] * 50, "P: No.")
    ((text, evidence),) = found[HPI]
    assert text == 'Asked "Any fever? Any cough? Any fever? Any cough?", answers "No."'
    assert evidence == "s48 s49 s50"


LONG = "and then I take it " * 80


@pytest.mark.parametrize(
    ("speaker", "opening"), [("P", 'Patient: "'), ("?", '"'), ("D", 'Doctor: "')], ids=["patient", "unknown", "doctor"]
)
def test_a_sentence_longer_than_any_rule_reads_is_quoted_whole(speaker: str, opening: str) -> None:
    said = f"You should know {LONG}".strip()
    segments = [Segment("s0", 0, 0, 0, said, 0, 1, {"P": "patient", "?": "unknown", "D": "doctor"}[speaker])]
    (sentence,) = [s for draft in ExtractiveWriter().write(SOAP, segments) for s in draft.sentences]
    assert sentence.text == f'{opening}{said}"' + "."


def test_a_long_answer_is_quoted_with_its_question() -> None:
    (found,) = told("D: Any allergies?", f"P: {LONG.strip()}?").values()
    assert found == [(f'Asked "Any allergies?", answers "{LONG.strip()}?"', "s0 s1")]


def test_of_a_question_longer_than_any_rule_reads_the_end_is_quoted() -> None:
    ((text, evidence),) = told(f"D: {LONG} and do you have any allergies?", "P: No.")[HPI]
    assert text.startswith('Asked "… ')
    assert text.endswith('and do you have any allergies?", answers "No."')
    assert (len(text) < 1100, evidence) == (True, "s0 s1")


def test_many_questions_in_a_row_are_read_in_good_time() -> None:
    began = time.process_time()
    found = told("D: " + "a? " * 60_000, "P: No.")
    assert time.process_time() - began < 2
    assert found == {HPI: [('Asked "a? a? a? a?", answers "No."', "s0 s1")]}


@pytest.mark.slow
@pytest.mark.parametrize("role", ["doctor", "patient", "unknown"])
@pytest.mark.parametrize(
    "words", ["a? ", "No. Wait, ", "and I take it ", "No. I had a cough. ", "you have no pain in the chest, "]
)
def test_half_a_million_characters_are_written_about_in_seconds(words: str, role: str) -> None:
    text = words * (500_000 // len(words))
    said = [Segment("q", 0, 0, 0, "Any pain?", 0, 1, "doctor"), Segment("s", 0, 0, 0, text, 1, 2, role)]
    began = time.process_time()
    drafts = ExtractiveWriter().write([*SOAP, SUMMARY], [*said, Segment("a", 0, 0, 0, "No.", 2, 3, "patient")])
    assert time.process_time() - began < 20
    assert all(isinstance(sentence, Sentence) for draft in drafts for sentence in draft.sentences)


def test_a_line_ends_a_sentence_where_nothing_else_does() -> None:
    assert told("?: Any fever\nNo\nChest pain") == {HPI: [('"Any fever No".', "s0"), ('"Chest pain".', "s0")]}
