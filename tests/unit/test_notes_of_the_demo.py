"""The bundled consultation, from its reference turns, read as a clinician and as the patient would."""

from __future__ import annotations

import json

from adapters.engine.notes.writer import ExtractiveWriter
from service.ambient.ports import NoteWriter, SectionBrief, Segment
from tests.conftest import DEMO
from tests.note_briefs import ONE_FOR_EACH_GROUP, SOAP, SUMMARY


def demo_segments() -> list[Segment]:
    turns = json.loads((DEMO / "consult_two_channel.json").read_text())["turns"]
    return [
        Segment(f"s{n}", turn["channel"], turn["channel"], turn["channel"], turn["text"], int(turn["start"] * 1000), int(turn["end"] * 1000), turn["speaker"])
        for n, turn in enumerate(turns)
    ]  # fmt: skip


def written(brief: SectionBrief) -> list[tuple[str, tuple[str, ...]]]:
    writer: NoteWriter = ExtractiveWriter()
    (draft,) = writer.write([brief], demo_segments())
    return [(sentence.text, sentence.evidence) for sentence in draft.sentences]


def test_the_history_is_told_in_the_patients_words() -> None:
    assert written(SOAP[0]) == [
        ("Has had a cough for about ten days, and since Saturday the patient has had a fever as well.", ("s1",)),
        ("The fever was thirty eight point four last night.", ("s2", "s3")),
        ("Is bringing something up when the patient coughs; it's thick and yellow.", ("s4", "s5")),
        ("No chest pain, but the patient gets a little short of breath on the stairs.", ("s7",)),
        ("Does not smoke; quit five years ago.", ("s8", "s9")),
        ("Takes lisinopril, ten milligrams a day.", ("s11",)),
        ("Is allergic to penicillin.", ("s11",)),
    ]


def test_findings_opinion_and_plan_are_the_doctors() -> None:
    assert [text for brief in SOAP[1:] for text, _ in written(brief)] == [
        "Temperature is thirty eight point one, and oxygen level is ninety six percent.",
        "Crackles at the base of the right lung.",
        "Impression: a mild pneumonia on the right side.",
        "Would like to order a chest X-ray today.",
        "Because of the patient's penicillin allergy, the doctor will start the patient on doxycycline, one hundred milligrams twice a day for seven days.",
        "Advised: rest and drink plenty of fluids.",
        "Advised: come back in one week, or sooner if the patient's breathing gets worse.",
    ]


def test_the_summary_speaks_to_the_patient_in_three_parts() -> None:
    texts = [text for text, _ in written(SUMMARY)]
    assert texts[0].startswith("What you told us: You have had a cough")
    assert "You do not smoke; you quit five years ago." in texts
    assert (
        "What was found: Your temperature is thirty eight point one, and your oxygen level is ninety six percent."
        in texts
    )
    assert "What happens next: Your doctor would like to order a chest X-ray today." in texts


def test_each_thing_told_is_sorted_into_a_group_of_the_chart() -> None:
    drafts = ExtractiveWriter().write(ONE_FOR_EACH_GROUP, demo_segments())
    assert {draft.key: [name for s in draft.sentences for name in s.evidence] for draft in drafts if draft.sentences} == {
        "chief-complaint": ["s1"],
        "history-of-present-illness": ["s2", "s3", "s4", "s5", "s7"],
        "social-history": ["s8", "s9"],
        "medications-prior-to-visit": ["s11"],
        "allergies": ["s11"],
        "vital-signs": ["s12"],
        "abnormal-physical-findings": ["s12"],
        "assessment": ["s14"],
        "plan": ["s14", "s14", "s14", "s16"],
    }  # fmt: skip


def test_sections_come_in_the_order_asked_for_and_nothing_said_gives_no_sentence() -> None:
    drafts = ExtractiveWriter().write([SOAP[3], SOAP[0]], [])
    assert [(draft.key, draft.sentences) for draft in drafts] == [("plan", ()), ("subjective", ())]


def test_a_section_without_groups_has_no_sentences() -> None:
    assert written(SectionBrief("letterhead", ())) == []


def test_small_talk_and_recaps_are_left_out() -> None:
    said = [
        "Good morning.",
        "Lovely weather, isn't it?",
        "Let me listen to your chest.",
        "You said you had a cough last week.",
        "Thank you.",
    ]
    segments = [Segment(f"s{n}", 0, 0, 0, text, n, n, "doctor") for n, text in enumerate(said)]
    assert all(not draft.sentences for draft in ExtractiveWriter().write(SOAP, segments))


def test_something_said_twice_is_written_once_with_both_as_evidence() -> None:
    segments = [Segment(f"s{n}", 0, 0, 0, "I have a cough.", n, n, "patient") for n in range(2)]
    (draft,) = ExtractiveWriter().write(SOAP[:1], segments)
    assert [(sentence.text, sentence.evidence) for sentence in draft.sentences] == [("Has a cough.", ("s0", "s1"))]
