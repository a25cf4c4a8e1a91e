"""Words as a transcript's request asked for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ambient.ports import Segment
from service.ambient.spoken_text import Wording, worded


def said(text: str) -> Segment:
    return Segment("s0", 0, 0, 0, text, 0, 1000, "doctor")


def text_of(text: str, wording: Wording) -> str:
    return " ".join(segment.text for segment in worded([said(text)], wording))


@pytest.mark.parametrize(
    ("heard", "written"),
    [
        ("no fever comma no cough full stop", "no fever, no cough."),
        ("No fever, comma, no cough. Full stop.", "No fever, no cough."),
        ("no fever full stop the lungs are clear, period.", "no fever. The lungs are clear."),
        ("assessment new paragraph asthma new line plan", "assessment\n\nAsthma\nPlan"),
        ("is there pain question mark no exclamation mark", "is there pain? No!"),
        ("mild asthma semicolon stable", "mild asthma; stable"),
        ("Cancer of the colon.", "Cancer of the colon."),
        ("Her last period was in May.", "Her last period was in May."),
        ("She has missed a period.", "She has missed a period."),
        ("Over a period of two weeks.", "Over a period of two weeks."),
        ("A new line was placed in the right subclavian vein.", "A new line was placed in the right subclavian vein."),
        ("Catheter removed, new line inserted.", "Catheter removed, new line inserted."),
        ("blood pressure 120 over 80 comma pulse 70 full stop", "blood pressure 120 over 80, pulse 70."),
        ("one comma and two new paragraph three", "one, and two\n\nThree"),
        ("They put new line in her arm.", "They put new line in her arm."),
        ("She is in the postpartum period.", "She is in the postpartum period."),
        ("Symptoms lasted for a 3-week period.", "Symptoms lasted for a 3-week period."),
        ("in the neonatal period. The baby slept.", "in the neonatal period. The baby slept."),
        ("Her irregular period", "Her irregular period"),
        ("He came to a full stop after 100 metres", "He came to a full stop after 100 metres"),
        ("There is a question mark over the lesion.", "There is a question mark over the lesion."),
        ("", ""),
    ],
)
def test_spoken_marks_become_marks_where_nothing_else_can_be_meant(heard: str, written: str) -> None:
    assert text_of(heard, Wording("spoken")) == written


def test_without_punctuation_numbers_stay_whole_and_sentences_apart() -> None:
    assert text_of("It was 38.5 at 10:30, was it? Yes.", Wording("none")) == "It was 38.5 at 10:30 was it\nYes"


@pytest.mark.parametrize(
    ("heard", "written"),
    [
        ("Lies in at Pearl, ten milligrams.", "lisinopril, ten mg."),
        ("the pearls", "the pearls"),
        ("Milligrams of LIES IN AT PEARL", "mg of lisinopril"),
    ],
)
def test_replacements_find_whole_words_in_any_case(heard: str, written: str) -> None:
    pairs = (("lies in at pearl", "lisinopril"), ("pearl", "jewel"), ("milligrams", "mg"))
    assert text_of(heard, Wording.asked("automatic", pairs)) == written


def test_what_was_replaced_is_not_replaced_again() -> None:
    assert text_of("a", Wording.asked("automatic", (("a", "b"), ("b", "c")))) == "b"


def test_a_segment_without_words_left_goes() -> None:
    assert worded([said("Um."), said("Yes.")], Wording.asked("automatic", (("um.", ""),)))[0].text == "Yes."


def test_options_of_an_earlier_version_change_nothing() -> None:
    segments = [said("No fever, comma.")]
    assert worded(segments, Wording.from_options(None)) == segments


@given(st.text(), st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_any_words_can_be_worded(text: str, pairs: list[tuple[str, str]]) -> None:
    for punctuation in ("automatic", "spoken", "none"):
        options = {"punctuation": punctuation, "replacements": [list(pair) for pair in pairs]}
        for segment in worded([said(text)], Wording.from_options(options)):
            assert segment.text
