"""The dialogue becomes statements: each belongs to one section and carries the segments that it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from adapters.engine.notes.answers import Fused, fuse
from adapters.engine.notes.findings import in_section, section_of
from adapters.engine.notes.persons import doctor_to_patient, finished, patient_in_note, patient_to_patient, quoted
from adapters.engine.notes.utterances import Utterance, is_small_talk

# a yes to nothing that was asked; a no may belong to the words that follow it and stays
AGREEMENT = re.compile(r"^(?:yes|yeah|yep)[,.]?\s+(?=(?:I|I'm|I've|my|it|it's)\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """`section` is `subjective`, `objective`, `assessment` or `plan`. `plain` is None where the patient needs no copy."""

    section: str
    clinical: str
    plain: str | None
    evidence: tuple[str, ...]


def statements_of(utterances: Iterable[Utterance]) -> Iterator[Statement]:
    """In the order of the dialogue. Only a doctor's own words reach objective, assessment and plan."""
    asked: list[Utterance] = []
    for utterance in utterances:
        if utterance.speaker == "doctor":
            asked = [*asked, utterance] if utterance.is_question else []
            if found := _from_doctor(utterance):
                yield found
        elif utterance.speaker == "patient":
            if found := _from_patient(asked, utterance):
                yield found
            asked = asked if _is_greeting(utterance) else []
        else:
            if found := _from_somebody(asked, utterance):
                yield found
            asked = [utterance] if utterance.is_question else []


def _from_doctor(said: Utterance) -> Statement | None:
    section = None if said.is_question or is_small_talk(said.text) else section_of(said.text)
    if section is None:
        return None
    clinical = in_section(section, said.text) or f"doctor: {quoted(said.text)}"
    plain = doctor_to_patient(said.text) or f"your doctor said: {quoted(said.text)}"
    return Statement(section, finished(clinical), finished(plain), (said.segment,))


def _from_patient(asked: list[Utterance], said: Utterance) -> Statement | None:
    if said.is_question or _is_greeting(said):
        return None
    questions = [question for question in asked if not is_small_talk(question.text)]
    fused = fuse([question.text for question in questions], said.text) if questions else None
    if fused:
        evidence = (*(question.segment for question in questions), said.segment)
        return _subjective(fused, tuple(dict.fromkeys(evidence)))
    return None if is_small_talk(said.text) else _subjective(_own_words(said.text), (said.segment,))


def _from_somebody(asked: list[Utterance], said: Utterance) -> Statement | None:
    """Nobody knows who spoke: the words are quoted, an answer with its question, and prove nothing but that they were said."""
    if said.is_question or (is_small_talk(said.text) and not asked):
        return None
    words = [*asked, said] if asked else [said]
    text = " – ".join(quoted(word.text) for word in words)
    return Statement("subjective", finished(text), None, tuple(dict.fromkeys(word.segment for word in words)))


def _own_words(text: str) -> Fused:
    text = AGREEMENT.sub("", text)
    clinical = patient_in_note(text) or f"patient: {quoted(text)}"
    return Fused(clinical, patient_to_patient(text) or f"you said: {quoted(text)}")


def _subjective(told: Fused, evidence: tuple[str, ...]) -> Statement:
    return Statement("subjective", finished(told.clinical), finished(told.plain), evidence)


def _is_greeting(said: Utterance) -> bool:
    """Courtesies, but no reply: "No." after a question says a great deal."""
    bare = said.text.casefold().strip(" .,!")
    return bare in ("good morning", "good afternoon", "good evening", "hello", "hi", "hi doctor", "thank you", "thanks")
