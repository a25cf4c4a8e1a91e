"""Yes and no, left and right, who said it: what a note must never turn round."""

from __future__ import annotations

import pytest

from adapters.engine.notes.writer import ExtractiveWriter
from service.ambient.ports import Segment
from tests.note_briefs import SOAP


def dialogue(*turns: str) -> list[Segment]:
    """Turns as "D: text", "P: text" or "?: text"."""
    roles = {"D": "doctor", "P": "patient", "?": "unknown", "O": "other"}
    return [
        Segment(f"s{n}", 0, 0, 0, turn[3:], n * 5000, n * 5000 + 4000, roles[turn[0]]) for n, turn in enumerate(turns)
    ]


def note(*turns: str) -> dict[str, str]:
    drafts = ExtractiveWriter().write(SOAP, dialogue(*turns))
    return {draft.key: " ".join(sentence.text for sentence in draft.sentences) for draft in drafts}


ANSWERED = [
    ("Any chest pain or shortness of breath?", "No.", "Denies chest pain or shortness of breath.", ["Reports", "Has"]),
    ("Any chest pain?", "Nope.", "Denies chest pain.", ["Reports"]),
    ("Any chest pain?", "Yes.", "Reports chest pain.", ["Denies", "No "]),
    ("Any chest pain or shortness of breath?", "Yes.", 'answers "Yes."', ["Denies", "Reports"]),
    ("Any chest pain?", "No chest pain, but I get a little short of breath on the stairs.", "No chest pain, but the patient gets a little short of breath", ["Denies", "Reports"]),
    ("Any chest pain?", "Not really.", 'answers "Not really."', ["Denies", "Reports"]),
    ("Any chest pain?", "Not that I know of.", 'answers "Not that I know of."', ["Denies", "Reports"]),
    ("Any chest pain?", "I don't think so.", 'answers "I don\'t think so."', ["Denies", "Reports"]),
    ("Any chest pain?", "No, but I did last week.", "Denies chest pain, but the patient did last week.", ["Reports"]),
    ("Any chest pain?", "No, yes, a little.", 'answers "No, yes, a little."', ["Denies", "Reports"]),
    ("Any chest pain?", "Yeah, no.", 'answers "Yeah, no."', ["Denies", "Reports"]),
    ("Any chest pain?", "No, I do.", 'answers "No, I do."', ["Denies", "Reports"]),
    ("Any chest pain?", "Yes, I don't.", 'answers "Yes, I don\'t."', ["Denies", "Reports"]),
    ("Do you want me to stop the metoprolol?", "No.", 'answers "No."', ["Does not want", "Denies"]),
    ("Any chest pain?", "No idea.", 'No idea', ["Denies", "Reports"]),
    ("Any chest pain?", "No more than usual.", 'answers "No more than usual."', ["Denies", "Reports"]),
    ("Any chest pain?", "I'm not sure.", 'answers "I\'m not sure."', ["Denies", "Reports"]),
    ("Which side is worse?", "Right, more than left.", 'answers "Right, more than left."', []),
    ("How do you sleep?", "Well, mostly.", 'answers "Well, mostly."', []),
    ("How is your appetite?", "Good, thanks.", 'answers "Good, thanks."', []),
    ("How do you feel?", "Not great.", 'answers "Not great."', []),
    ("Any pain in the left leg?", "No, only in the right leg.", 'answers "No, only in the right leg."', ["Denies", "Reports"]),
    ("Any pain that doesn't go away?", "No.", 'answers "No."', ["Denies"]),
    ("Any allergies?", "Yes, penicillin.", "Reports allergies: penicillin.", ["Denies"]),
    ("Do you have any allergies?", "No, none.", "Denies allergies", ["Reports"]),
    ("Do you smoke?", "No, I quit five years ago.", "Does not smoke; quit five years ago.", ["Smokes"]),
    ("Do you smoke?", "Yes.", "Smokes.", ["not"]),
    ("Do you smoke?", "I don't.", "Does not smoke.", ["Smokes"]),
    ("Do you smoke?", "Not any more.", 'answers "Not any more."', ["Does not smoke.", "Smokes."]),
    ("You don't smoke?", "No.", 'Asked "You don\'t smoke?", answers "No."', ["Smokes", "Does not"]),
    ("You don't smoke, do you?", "Yes.", 'answers "Yes."', ["Smokes", "Does not"]),
    ("Do you smoke or drink?", "Yes.", 'answers "Yes."', ["Smokes"]),
    ("Do you smoke or drink?", "No.", "Does not smoke or drink.", ["Smokes"]),
    ("Do you smoke, and do you drink?", "No.", 'answers "No."', ["Does not"]),
    ("Are you pregnant?", "No, I'm not.", "Is not pregnant.", ["Is pregnant"]),
    ("Are you pregnant?", "Yes, I am.", "Is pregnant.", ["not"]),
    ("Have you ever had a stroke?", "No.", "Has never had a stroke.", ["Has had"]),
    ("Have you ever had a stroke?", "Yes.", 'answers "Yes."', ["never", "not"]),
    ("Have you lost weight?", "No, I haven't.", "Has not lost weight.", ["Has lost"]),
    ("Did you take the tablets?", "No, I forgot.", "Did not take the tablets; forgot.", ["Did take"]),
    ("Is it worse at night?", "No.", "It is not worse at night.", ["It is worse"]),
    ("Does it hurt when you breathe in?", "Yes.", "It hurts when the patient breathes in.", ["not"]),
    ("Do you have chest pain?", "Yes, I do, when I climb stairs.", "Has chest pain, when the patient climbs stairs.", ["not"]),
    ("Are you allergic to anything?", "Yes, latex.", "Is allergic to something: latex.", ["not"]),
    ("Did you hit your head?", "No.", "Did not hit their head.", ["Did hit"]),
    ("Any pain when you pass urine?", "Yes, it burns.", "Reports pain when the patient passes urine; it burns.", ["Denies"]),
    ("Any fever?", "No, I haven't had a fever.", "Has not had a fever.", ["Reports", "Has had"]),
    ("Any fever?", "No, I haven't had one.", 'answers "No, I haven\'t had one."', ["Has not", "Denies"]),
    ("Any fever for him?", "No.", 'Asked "Any fever for him?", answers "No."', ["Denies"]),
    ("Any family history of diabetes?", "No.", "Denies family history of diabetes.", ["Reports"]),
]  # fmt: skip


@pytest.mark.parametrize(("question", "answer", "must", "must_not"), ANSWERED, ids=lambda value: str(value)[:60])
def test_an_answer_keeps_its_yes_or_no(question: str, answer: str, must: str, must_not: list[str]) -> None:
    written = note(f"D: {question}", f"P: {answer}")["subjective"]
    outside_quotes = "".join(written.split('"')[::2])
    assert must in written
    assert not [words for words in must_not if words in outside_quotes]


SAID_BY_PATIENT = [
    ("I don't have any pain.", "Does not have any pain."),
    ("I haven't been sleeping.", "Has not been sleeping."),
    ("I can't lift my right arm.", "Cannot lift their right arm."),
    ("I'm not taking aspirin any more.", "Is not taking aspirin any more."),
    ("I never had asthma.", "Never had asthma."),
    ("No, it isn't my left knee.", "No, it isn't their left knee."),
    ("My right knee hurts, not my left.", "The patient's right knee hurts, not the patient's left."),
    ("Right knee, I mean, not the left.", "Right knee, not the left."),
    ("I'd been taking ibuprofen without any relief.", "Had been taking ibuprofen without any relief."),
    ("I have neither fever nor chills.", "Has neither fever nor chills."),
    ("It hurts when I breathe in.", "It hurts when the patient breathes in."),
    ("I need to sit down after I climb the stairs.", "Needs to sit down after the patient climbs the stairs."),
    ("Hip pain since Monday.", "Hip pain since Monday."),
    ("Bypass surgery in 2010.", "Bypass surgery in 2010."),
    ("No problems with my knee.", "No problems with their knee."),
    ("Not well.", "Not well."),
    ("Thanks to the tablets I sleep.", "Thanks to the tablets the patient sleeps."),
    ("So far it is no better.", "So far it is no better."),
    ("I mean, you know, my back hurts.", "The patient's back hurts."),
    ("I mean I guess it hurts.", 'Patient: "I mean I guess it hurts."'),
    ("I'm not ...", 'Patient: "I\'m not ..."'),
    ("I hurt myself.", 'Patient: "I hurt myself."'),
    ("We went to Spain last month.", 'Patient: "We went to Spain last month."'),
    ("My wife told me I snore.", "The patient's wife told the patient the patient snores."),
]


@pytest.mark.parametrize(("said", "written"), SAID_BY_PATIENT)
def test_a_statement_keeps_its_negation_side_and_subject(said: str, written: str) -> None:
    assert note(f"P: {said}")["subjective"] == written


SAID_BY_DOCTOR = [
    ("I don't hear any crackles.", "objective", "No crackles."),
    ("There is no swelling of the left ankle.", "objective", "There is no swelling of the left ankle."),
    ("Right lung sounds clear, left lung has crackles.", "objective", "Right lung sounds clear, left lung has crackles."),
    ("Your blood pressure is 140 over 90.", "objective", "Blood pressure is 140 over 90."),
    ("I don't think you have pneumonia.", "assessment", "Does not think the patient has pneumonia."),
    ("I think it's a viral infection.", "assessment", "Impression: a viral infection."),
    ("You don't have pneumonia.", "assessment", "The patient does not have pneumonia."),
    ("You don't need antibiotics.", "plan", "The patient does not need antibiotics."),
    ("Don't take ibuprofen.", "plan", "Advised: don't take ibuprofen."),
    ("I will not start you on penicillin.", "plan", "Will not start the patient on penicillin."),
    ("I won't start you on penicillin.", "plan", "Will not start the patient on penicillin."),
    ("Take 2.5 milligrams twice a day.", "plan", "Advised: take 2.5 mg twice a day."),
    ("Right, and left lungs are clear.", "objective", "Right, and left lungs are clear."),
    ("Let me know if it gets worse.", "plan", 'Doctor: "Let me know if it gets worse."'),
    ("Let me start you on iron.", "plan", 'Doctor: "Let me start you on iron."'),
    ("You have a temperature of 38.4.", "objective", "The patient has a temperature of 38.4."),
    ("If you get worse, go to the hospital.", "plan", "Advised: if the patient gets worse, go to the hospital."),
    ("You know your right knee is swollen.", "objective", 'Doctor: "You know your right knee is swollen."'),
    ("You should take care of yourself.", "plan", 'Doctor: "You should take care of yourself."'),
    ("If your fever goes above 39, call us.", "plan", 'Doctor: "If your fever goes above 39, call us."'),
]  # fmt: skip


@pytest.mark.parametrize(("said", "section", "written"), SAID_BY_DOCTOR)
def test_a_finding_an_opinion_and_an_order_keep_their_negation(said: str, section: str, written: str) -> None:
    drafted = note(f"D: {said}")
    assert {key: text for key, text in drafted.items() if text} == {section: written}


@pytest.mark.parametrize(
    "said", ["My temperature is 38.4.", "I think I have pneumonia.", "I will take antibiotics.", "There is swelling."]
)
@pytest.mark.parametrize("speaker", ["P", "?", "O"])
def test_only_the_doctors_own_words_become_finding_opinion_or_plan(said: str, speaker: str) -> None:
    drafted = note(f"{speaker}: {said}")
    assert [key for key, text in drafted.items() if text] == ["subjective"]


def test_words_of_an_unknown_speaker_are_quoted_with_their_question() -> None:
    assert note("?: Any chest pain?", "?: No.")["subjective"] == '"Any chest pain?" – "No."'


def test_an_answer_to_two_questions_in_a_row_is_quoted_with_both() -> None:
    written = note("D: Any fever?", "D: Any chest pain?", "P: No.")["subjective"]
    assert written == 'Asked "Any fever? Any chest pain?", answers "No."'


def test_an_answer_lost_by_the_recogniser_is_not_taken_from_the_next_one() -> None:
    written = note("D: Any fever?", "D: I see.", "D: Do you smoke?", "P: Yes.")["subjective"]
    assert written == "Smokes."


def test_a_condition_is_never_cut_from_its_consequence() -> None:
    plan = note("D: If the test is positive, let me know and I will start you on iron.")["plan"]
    assert "If the test is positive" in plan


def test_what_a_doctor_says_of_a_relative_is_no_finding() -> None:
    assert not any(note("D: Your mother's blood pressure was high.").values())
