"""From words with times to segments that a note can point to."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.engine.turns import LONGEST_SEGMENT, Voice, Word, segments_of, voice_of_channel, voice_of_mix

DOCTOR = voice_of_channel(0, {0: "doctor", 1: "patient"})
PATIENT = voice_of_channel(1, {0: "doctor", 1: "patient"})


def spoken(voice: Voice, start: float, text: str, pace: float = 0.3) -> list[Word]:
    return [Word(start + n * pace, start + n * pace + pace, " " + word, voice) for n, word in enumerate(text.split())]


def texts(words: list[Word]) -> list[tuple[str, str]]:
    return [(segment.role, segment.text) for segment in segments_of(words)]


def test_a_dialogue_reads_in_the_order_in_which_it_was_spoken() -> None:
    words = spoken(PATIENT, 3, "No, I quit five years ago.") + spoken(DOCTOR, 0, "Do you smoke at all?")
    assert texts(words) == [("doctor", "Do you smoke at all?"), ("patient", "No, I quit five years ago.")]


def test_each_sentence_is_a_segment_and_a_short_reply_stays_with_what_follows() -> None:
    words = spoken(PATIENT, 0, "Yes. It is thick and yellow. It began on Saturday after lunch.")
    assert [text for _, text in texts(words)] == ["Yes. It is thick and yellow.", "It began on Saturday after lunch."]


def test_a_title_does_not_end_a_sentence() -> None:
    assert len(segments_of(spoken(DOCTOR, 0, "Good morning to you Mrs. Hale and welcome."))) == 1


def test_a_reply_in_a_pause_parts_the_stretch_around_it() -> None:
    words = spoken(PATIENT, 0, "I take the") + spoken(DOCTOR, 1.2, "Yes?") + spoken(PATIENT, 2, "blue tablets")
    assert [text for _, text in texts(words)] == ["I take the", "Yes?", "blue tablets"]


def test_a_word_thrown_in_does_not_tear_a_sentence() -> None:
    words = spoken(PATIENT, 0, "I have had a cough for ten days") + spoken(DOCTOR, 1.0, "Okay.")
    assert [text for _, text in texts(words)] == ["I have had a cough for ten days", "Okay."]


def test_a_long_silence_parts() -> None:
    assert len(segments_of(spoken(PATIENT, 0, "I think that") + spoken(PATIENT, 6, "it is better"))) == 2


def test_segments_carry_channel_role_and_milliseconds() -> None:
    (segment,) = segments_of(spoken(PATIENT, 1.5, "It hurts here", 0.5))
    assert (segment.id, segment.channel, segment.participant, segment.speaker_id) == ("s0", 1, 1, 1)
    assert (segment.role, segment.start, segment.end) == ("patient", 1500, 3000)


def test_pieces_that_the_recogniser_glued_stay_glued() -> None:
    words = [Word(0, 1, " 38", DOCTOR), Word(1, 1.2, ".1", DOCTOR), Word(1.2, 2, " degrees", DOCTOR)]
    assert segments_of(words)[0].text == "38.1 degrees"


def test_a_mix_has_no_speaker_and_no_role_unless_one_person_dictates() -> None:
    assert voice_of_mix({0: "doctor", 1: "patient"}) == Voice(0, 0, -1, "unknown")
    assert voice_of_mix({0: "doctor"}) == Voice(0, 0, -1, "doctor")
    assert voice_of_mix({0: "multiple"}).role == voice_of_channel(3, {}).role == "unknown"


def test_nobody_spoke() -> None:
    assert segments_of([]) == []


TIMES = st.floats(0, 120, allow_nan=False)
WORDS = st.lists(
    st.builds(
        lambda start, length, text, voice: Word(start, start + length, " " + text, voice),
        TIMES,
        st.floats(0, 2),
        st.sampled_from(["yes", "no.", "cough", "Dr.", "pain?"]),
        st.sampled_from([DOCTOR, PATIENT]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(WORDS)
def test_no_word_is_lost_or_added_and_segments_are_short_and_in_order(words: list[Word]) -> None:
    segments = segments_of(words)
    assert sorted(" ".join(segment.text for segment in segments).split()) == sorted(word.text.strip() for word in words)
    assert [segment.start for segment in segments] == sorted(segment.start for segment in segments)
    assert [segment.id for segment in segments] == [f"s{number}" for number in range(len(segments))]
    assert all(0 <= segment.end - segment.start <= LONGEST_SEGMENT * 1000 + 2001 for segment in segments)
