"""Where in a chart each thing belongs that was told, and what is never put under a heading that would change it."""

from __future__ import annotations

import pytest

from adapters.engine.notes.writer import ExtractiveWriter
from service.ambient.ports import SectionBrief, Segment
from tests.note_briefs import FINDINGS, ONE_FOR_EACH_GROUP

HPI = "history-of-present-illness"
MEDICATIONS = "medications-prior-to-visit"
PMH = "past-medical-history"
DENIALS = "denials-of-symptoms"
CONCERNS = "concerns-and-expectations"
NORMAL, ABNORMAL = "normal-physical-findings", "abnormal-physical-findings"


def groups(*turns: str) -> list[str]:
    """The groups that have a sentence. Turns as "D: text", "P: text" or "?: text"."""
    roles = {"D": "doctor", "P": "patient", "?": "unknown"}
    segments = [Segment(f"s{n}", 0, 0, 0, turn[3:], n, n, roles[turn[0]]) for n, turn in enumerate(turns)]
    return [draft.key for draft in ExtractiveWriter().write(ONE_FOR_EACH_GROUP, segments) if draft.sentences]


ANSWERS = [
    ("Any allergies?", "No.", "allergies"),
    ("Do you have any allergies?", "Not that I know of.", "allergies"),
    ("Any allergies?", "Yes, penicillin.", "allergies"),
    ("Any allergies?", "I come out in a rash with sulfa drugs.", "allergies"),
    ("Any allergies?", "I had eggs this morning.", HPI),
    ("Are you taking any medication?", "No.", MEDICATIONS),
    ("Are you taking any medication?", "Just aspirin.", MEDICATIONS),
    ("Are you taking any medication?", "No, I'm allergic to most of them.", "allergies"),
    ("Are you taking any tablets?", "I take the bus.", MEDICATIONS),
    ("Are you taking any tablets?", "My wife takes warfarin.", HPI),
    ("I'd like you to take your tablets every day, okay?", "Okay, I will do that.", HPI),
    ("Any surgeries in the past?", "No.", "surgical-history"),
    ("Any surgeries?", "I had a hernia in 2015.", "surgical-history"),
    ("Any family history of heart disease?", "No.", "family-history"),
    ("Any family history of heart disease?", "My father died of a heart attack.", "family-history"),
    ("Any family history of asthma or allergies?", "No.", "family-history"),
    ("Any family history of cancer?", "I had breast cancer in 2010.", HPI),
    ("Any family history of diabetes?", "No, I don't have diabetes.", PMH),
    ("Is anyone in your family sick?", "My son has the flu.", HPI),
    ("Do you smoke?", "No, I quit five years ago.", "social-history"),
    ("Do you smoke?", "No, but my chest hurts.", HPI),
    ("Are you taking any tablets?", "Yes, ibuprofen for the pain.", MEDICATIONS),
    ("Any family history of cancer?", "No, but I found a lump.", HPI),
    ("How much do you drink?", "Two beers a week.", "social-history"),
    ("Do you drink enough water?", "I try to.", HPI),
    ("What do you do for a living?", "A builder.", "social-history"),
    ("Who do you live with?", "Just my wife.", "social-history"),
    ("Do you have any other medical conditions?", "No.", PMH),
    ("Have you ever had a stroke?", "No.", PMH),
    ("Do you have diabetes?", "Yes, I do.", PMH),
    ("Are you able to dress yourself?", "Yes.", "functional-status"),
    ("How old are you?", "Fifty four.", "demographics"),
    ("Is there anything you are worried about?", "Cancer, I suppose.", CONCERNS),
    ("Any chest pain or shortness of breath?", "No.", DENIALS),
    ("Have you lost weight?", "No.", DENIALS),
    ("Any fever?", "No, I haven't had a fever.", DENIALS),
    ("Are you coughing anything up?", "No.", DENIALS),
    ("Any pain in the left leg?", "No, only in the right leg.", HPI),
    ("Any chest pain?", "No, but I did last week.", HPI),
    ("Any chest pain?", "Not really.", HPI),
    ("Any chest pain?", "Yes.", HPI),
    ("Do you still have the cough?", "No.", HPI),
    ("Did you take the ferry?", "No.", HPI),
    ("You don't have any pain?", "No.", HPI),
    ("Any other medical conditions?", "I have type 2 diabetes and high blood pressure.", PMH),
    ("Any blood thinners?", "No.", MEDICATIONS),
    ("Any blood sugar problems?", "No.", HPI),
    ("Any blood in your urine?", "No.", DENIALS),
    ("Any blood?", "No.", DENIALS),
    ("What tests have you had?", "Just blood tests.", HPI),
    ("Do you have any medical conditions?", "I had blood work for my diabetes.", PMH),
    ("Does your son have any allergies?", "Yes, peanuts.", HPI),
    ("Does your son have any allergies?", "Yes, allergic to peanuts.", HPI),
    ("Does your son have any allergies?", "No, but I'm allergic to nuts.", HPI),
    ("Does she take any medication?", "Yes, insulin.", HPI),
    ("Does your husband smoke?", "Yes.", HPI),
    ("Has your wife ever had a stroke?", "Yes.", HPI),
    ("Any fever for him?", "No.", HPI),
    ("How is your son? Any allergies?", "Yes, peanuts.", HPI),
    ("History of allergies in your family?", "Yes.", "family-history"),
    ("Does anyone in your family have allergies?", "Yes, my mother.", "family-history"),
    ("Is your family allergic to anything?", "Yes, nuts.", HPI),
    ("Do you live with your husband?", "Yes.", "social-history"),
]


@pytest.mark.parametrize(("question", "answer", "group"), ANSWERS)
def test_an_answer_goes_where_the_question_and_its_words_belong(question: str, answer: str, group: str) -> None:
    assert groups(f"D: {question}", f"P: {answer}") == [group]


TOLD = [
    ("My mother had breast cancer.", "family-history"),
    ("Heart disease runs in my family.", "family-history"),
    ("My mother has the flu.", HPI),
    ("My mother thinks I have diabetes.", HPI),
    ("My wife told me I snore.", HPI),
    ("My mother had breast cancer and I found a lump.", HPI),
    ("I had my gallbladder out in 2010.", "surgical-history"),
    ("Bypass surgery in 2010.", "surgical-history"),
    ("I'm having surgery next week.", HPI),
    ("I'm allergic to penicillin.", "allergies"),
    ("I take lisinopril and I'm allergic to penicillin.", "allergies"),
    ("My son is allergic to nuts.", HPI),
    ("Maybe I have an allergy.", HPI),
    ("I take lisinopril every day.", MEDICATIONS),
    ("I take ibuprofen for my headaches.", MEDICATIONS),
    ("I'm not taking aspirin any more.", MEDICATIONS),
    ("I take lisinopril and I have chest pain.", HPI),
    ("When I take my tablets I get dizzy.", HPI),
    ("I take my son to school every day.", HPI),
    ("I'm on my feet all day.", HPI),
    ("I stopped smoking.", "social-history"),
    ("I work as a teacher.", "social-history"),
    ("I live with my daughter.", "social-history"),
    ("I cough when I smoke.", HPI),
    ("My husband smokes.", HPI),
    ("I have type two diabetes.", PMH),
    ("I never had asthma.", PMH),
    ("My asthma is worse.", HPI),
    ("I think I have pneumonia.", HPI),
    ("I can't wash myself without help.", "functional-status"),
    ("I can't lift my right arm.", HPI),
    ("I'm 54 years old.", "demographics"),
    ("I'm worried it might be cancer.", CONCERNS),
    ("I was hoping to get back to work.", CONCERNS),
    ("I'm worried and my chest hurts.", HPI),
    ("I need a note for work.", "other"),
    ("No fever.", DENIALS),
    ("No fever, chills, or night sweats.", DENIALS),
    ("I have neither fever nor chills.", DENIALS),
    ("I don't have any chest pain.", DENIALS),
    ("No chest pain, but I get short of breath.", HPI),
    ("No fever, cough since Monday.", HPI),
    ("No pain relief.", HPI),
    ("I don't feel pain in my toes.", HPI),
    ("I can't sleep.", HPI),
    ("No pain when I rest.", HPI),
    ("I don't have much pain.", HPI),
]


@pytest.mark.parametrize(("said", "group"), TOLD)
def test_what_the_patient_tells_goes_where_its_words_belong(said: str, group: str) -> None:
    assert groups("D: What happened then?", "P: It was as always.", f"P: {said}") == sorted(
        {HPI, group}, key=[brief.key for brief in ONE_FOR_EACH_GROUP].index
    )


SAID_BY_DOCTOR = [
    ("Your blood pressure is 150 over 90.", "vital-signs"),
    ("You have a temperature of 38.4.", "vital-signs"),
    ("The potassium came back at 5.9.", "laboratory-results"),
    ("Your blood sugar is high.", "laboratory-results"),
    ("Your test results are back to normal.", "laboratory-results"),
    ("The x-ray shows no fracture.", "imaging-results"),
    ("Your ECG looks normal.", "imaging-results"),
    ("Your lungs are clear.", NORMAL),
    ("I don't hear any crackles.", NORMAL),
    ("There is no swelling or redness.", NORMAL),
    ("Your ears and throat look normal.", NORMAL),
    ("Your abdomen is soft and non-tender.", NORMAL),
    ("Lungs are clear, heart sounds are regular, no murmurs, gallops, or rubs.", NORMAL),
    ("I hear crackles.", ABNORMAL),
    ("Your throat is not clear.", ABNORMAL),
    ("There is no pulse in the left foot.", ABNORMAL),
    ("Right lung sounds clear, left lung has crackles.", ABNORMAL),
    ("There is no swelling, redness on the right.", ABNORMAL),
    ("Your abdomen is soft and blue.", ABNORMAL),
    ("Your knee looks normal but it is stiff.", ABNORMAL),
    ("Your lungs have fine crackles.", ABNORMAL),
    ("I think it's a viral infection.", "assessment"),
    ("Take 5 milligrams twice a day.", "plan"),
    ("I've prescribed amoxicillin.", "plan"),
    ("I have given you a tetanus injection.", "actions"),
    ("The wound has been cleaned and dressed.", "actions"),
    ("Wound dressed.", "actions"),
    ("I've dressed the wound and you should keep it dry.", "plan"),
]


@pytest.mark.parametrize(("said", "group"), SAID_BY_DOCTOR)
def test_what_the_doctor_says_is_finding_opinion_plan_or_done(said: str, group: str) -> None:
    assert groups(f"D: {said}") == [group]


COMPLAINTS = [
    (["D: What brings you in today?", "P: I have had a cough. It is thick and yellow."], ["chief-complaint", HPI]),
    (["D: How can I help?", "P: I want to stop smoking."], ["chief-complaint"]),
    (["D: How are you?", "P: I'm fine, thanks.", "P: I'm here about my knee."], ["chief-complaint", HPI]),
    (["P: I have had a cough.", "P: My knee hurts."], ["chief-complaint", HPI]),
    (["P: I take metformin every day."], [MEDICATIONS]),
    (["D: What brings you in?", "P: I'm allergic to latex.", "D: Why are you here?", "P: My knee hurts."], ["chief-complaint", "allergies"]),
    (["D: Any fever?", "P: No.", "P: My knee hurts."], [HPI, DENIALS]),
    (["?: What brings you in today?", "?: I have a cough."], [HPI]),
]  # fmt: skip


@pytest.mark.parametrize(("turns", "found"), COMPLAINTS)
def test_the_first_reason_for_coming_is_the_chief_complaint(turns: list[str], found: list[str]) -> None:
    assert groups(*turns) == found


@pytest.mark.parametrize(
    ("turns", "group"),
    [
        (["?: Any allergies?", "?: No."], "allergies"),
        (["?: I take lisinopril every day."], MEDICATIONS),
        (["?: Any chest pain?", "?: No."], HPI),
        (["?: I'm worried about your blood pressure."], HPI),
        (["?: You should take aspirin every day."], HPI),
        (["?: There is swelling."], HPI),
        (["?: Does your son have any allergies?", "?: Yes, allergic to peanuts."], HPI),
        (["?: Any blood thinners?", "?: No."], MEDICATIONS),
        (["?: Your blood pressure is 140 over 90."], HPI),
        (["?: I think you have pleurisy."], HPI),
    ],
)
def test_words_of_an_unknown_speaker_leave_the_history_only_when_they_are_clear(turns: list[str], group: str) -> None:
    assert groups(*turns) == [group]


def test_a_statement_that_no_section_asks_for_is_not_in_the_note() -> None:
    said = [Segment("s0", 0, 0, 0, "I'm allergic to penicillin.", 0, 1, "patient")]
    (draft,) = ExtractiveWriter().write([SectionBrief("exam", FINDINGS)], said)
    assert draft.sentences == ()
