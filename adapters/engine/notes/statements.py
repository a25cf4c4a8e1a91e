"""The dialogue becomes statements: each belongs to one fact group and carries the segments that it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from adapters.engine.notes.answers import Fused, fuse
from adapters.engine.notes.finding_groups import finding_group
from adapters.engine.notes.findings import in_section, is_done, section_of
from adapters.engine.notes.persons import doctor_to_patient, finished, patient_in_note, patient_to_patient, quoted
from adapters.engine.notes.sorting import CHIEF_COMPLAINT, of_answer, of_own_words, of_quotation, tells_why_they_came
from adapters.engine.notes.utterances import Utterance, is_small_talk

# a yes to nothing that was asked; a no may belong to the words that follow it and stays
AGREEMENT = re.compile(r"^(?:yes|yeah|yep)[,.]?\s+(?=(?:I|I'm|I've|my|it|it's)\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """`group` is a fact group's key. `plain` is None where the patient needs no copy."""

    group: str
    clinical: str
    plain: str | None
    evidence: tuple[str, ...]


def statements_of(utterances: Iterable[Utterance]) -> Iterator[Statement]:
    """In the order of the dialogue. Only a doctor's own words reach objective, assessment and plan.

    The first thing that the patient says about why they came is the chief complaint.
    """
    asked: list[Utterance] = []
    told: set[str] = set()
    for utterance in utterances:
        if utterance.speaker == "doctor":
            asked = [*asked, utterance] if utterance.is_question else []
            if found := _from_doctor(utterance):
                yield found
        elif utterance.speaker == "patient":
            if found := _from_patient(asked, utterance):
                yield (found := _as_complaint(asked, utterance, found, told))
                told.add(found.group)
            asked = asked if _is_greeting(utterance) else []
        else:
            if found := _from_somebody(asked, utterance):
                yield found
            asked = [utterance] if utterance.is_question else []


def _as_complaint(asked: list[Utterance], said: Utterance, found: Statement, told: set[str]) -> Statement:
    """`told`: the groups of what the patient has told before."""
    questions = [question.text for question in asked if not is_small_talk(question.text)]
    is_due = CHIEF_COMPLAINT not in told and tells_why_they_came(questions, said.text, found.group, first=not told)
    return replace(found, group=CHIEF_COMPLAINT) if is_due else found


def _from_doctor(said: Utterance) -> Statement | None:
    section = None if said.is_question or is_small_talk(said.text) else section_of(said.text)
    if section is None:
        return None
    clinical = in_section(section, said.text) or f"doctor: {quoted(said.text)}"
    plain = doctor_to_patient(said.text) or f"your doctor said: {quoted(said.text)}"
    return Statement(_group_of(section, said.text), finished(clinical), finished(plain), (said.segment,))


def _group_of(section: str, said: str) -> str:
    if section == "objective":
        return finding_group(said)
    return "actions" if section == "plan" and is_done(said) else section


def _from_patient(asked: list[Utterance], said: Utterance) -> Statement | None:
    if said.is_question or _is_greeting(said):
        return None
    questions = [question for question in asked if not is_small_talk(question.text)]
    question = questions[-1].text if questions else ""
    fused = fuse([question.text for question in questions], said.text) if questions else None
    if fused:
        sort = of_own_words(question, said.text) if fused.alone else of_answer(question, said.text, fused.denies)
        evidence = (*(question.segment for question in questions), said.segment)
        return _history(sort, fused, tuple(dict.fromkeys(evidence)))
    if is_small_talk(said.text):
        return None
    return _history(of_own_words(question, said.text), _own_words(said.text), (said.segment,))


def _from_somebody(asked: list[Utterance], said: Utterance) -> Statement | None:
    """Nobody knows who spoke: the words are quoted, an answer with its question, and prove nothing but that they were said."""
    if said.is_question or (is_small_talk(said.text) and not asked):
        return None
    words = [*asked, said] if asked else [said]
    text = " – ".join(quoted(word.text) for word in words)
    group = of_quotation(asked[-1].text if asked else "", said.text)
    return Statement(group, finished(text), None, tuple(dict.fromkeys(word.segment for word in words)))


def _own_words(text: str) -> Fused:
    text = AGREEMENT.sub("", text)
    clinical = patient_in_note(text) or f"patient: {quoted(text)}"
    return Fused(clinical, patient_to_patient(text) or f"you said: {quoted(text)}")


def _history(group: str, told: Fused, evidence: tuple[str, ...]) -> Statement:
    return Statement(group, finished(told.clinical), finished(told.plain), evidence)


def _is_greeting(said: Utterance) -> bool:
    """Courtesies, but no reply: "No." after a question says a great deal."""
    bare = said.text.casefold().strip(" .,!")
    return bare in ("good morning", "good afternoon", "good evening", "hello", "hi", "hi doctor", "thank you", "thanks")
