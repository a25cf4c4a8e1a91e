"""The dialogue becomes statements: each belongs to one fact group and carries the segments that it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from adapters.engine.notes.answers import Fused, both_quoted, fuse
from adapters.engine.notes.finding_groups import finding_group
from adapters.engine.notes.findings import in_section, is_done, section_of
from adapters.engine.notes.medical_words import is_about_others
from adapters.engine.notes.persons import doctor_to_patient, finished, patient_in_note, patient_to_patient, quoted
from adapters.engine.notes.sorting import (
    CHIEF_COMPLAINT,
    DEFAULT,
    DENIALS,
    of_answer,
    of_own_words,
    of_quotation,
    tells_why_they_came,
)
from adapters.engine.notes.told_together import Together, told_together
from adapters.engine.notes.turns import Turn, turns_of
from adapters.engine.notes.utterances import LONGEST_READ, Utterance, is_small_talk

# a yes to nothing that was asked; a no may belong to the words that follow it and stays
AGREEMENT = re.compile(r"^(?:yes|yeah|yep)[,.]?\s+(?=(?:I|I'm|I've|my|it|it's)\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """`group` is a fact group's key; `plain` is the wording for the patient. `by_anyone`: nobody knows who said it."""

    group: str
    clinical: str
    plain: str
    evidence: tuple[str, ...]
    by_anyone: bool = False


def statements_of(utterances: Iterable[Utterance]) -> Iterator[Statement]:
    """In the order of the dialogue; of a turn, its answer first. Only a doctor's own words reach objective, assessment and plan.

    The first thing that the patient says about why they came is the chief complaint.
    """
    told: set[str] = set()
    for turn in turns_of(utterances):
        if turn.speaker == "doctor":
            yield from _from_doctor(turn.said[0])
        elif turn.speaker == "patient":
            yield from _from_patient(turn, told)
        else:
            yield from _from_somebody(turn)


def _from_doctor(said: Utterance) -> Iterator[Statement]:
    """Of a long sentence the rules read the beginning only; it is quoted whole."""
    text, read = said.text, said.text[:LONGEST_READ]
    section = None if is_small_talk(text) else section_of(read)
    if section is not None:
        clinical = (None if said.is_long else in_section(section, text)) or f"doctor: {quoted(text)}"
        plain = (None if said.is_long else doctor_to_patient(text)) or f"your doctor said: {quoted(text)}"
        yield Statement(_group_of(section, read), finished(clinical), finished(plain), (said.segment,))


def _group_of(section: str, said: str) -> str:
    if section == "objective":
        return finding_group(said)
    return "actions" if section == "plan" and is_done(said) else section


def _from_patient(turn: Turn, told: set[str]) -> Iterator[Statement]:
    """`told`: the groups of what the patient has told before."""
    if all(utterance.is_greeting for utterance in turn.said):
        return
    asked = [question for question in turn.asked if not is_small_talk(question.text)]
    for part in told_together([question.text for question in asked], turn.said):
        answered = asked if part.is_answer else []
        if found := _told(answered, part):
            yield (found := _as_complaint([question.text for question in answered], part.said[0].text, found, told))
            told.add(found.group)


def _as_complaint(questions: list[str], said: str, found: Statement, told: set[str]) -> Statement:
    words = said[:LONGEST_READ]
    is_due = CHIEF_COMPLAINT not in told and tells_why_they_came(questions, words, found.group, first=not told)
    return replace(found, group=CHIEF_COMPLAINT) if is_due else found


def _told(asked: Sequence[Utterance], part: Together) -> Statement | None:
    """None where the patient only asks, or says nothing."""
    is_one = len(part.said) == 1
    if is_one and part.said[0].is_question:
        return None
    questions = [question.text for question in asked]
    if fused := _fused(questions, part):
        return _history(_group_of_answer(questions, part.text[:LONGEST_READ], fused), fused, [*asked, *part.said])
    if is_one and is_small_talk(part.text):
        return None
    group = of_own_words(questions[-1] if questions else "", part.said[0].text[:LONGEST_READ])
    return _history(DEFAULT if group == DENIALS and not is_one else group, _own_words(part), part.said)


def _fused(questions: list[str], part: Together) -> Fused | None:
    if not questions or (len(part.said) > 1 and not part.is_bound):
        return None
    return both_quoted(questions, part.text) if part.is_bound else fuse(questions, part.text)


def _group_of_answer(questions: list[str], answer: str, fused: Fused) -> str:
    every = " ".join(questions)
    question = every if is_about_others(every) else questions[-1]
    return of_own_words(question, answer) if fused.alone else of_answer(question, answer, fused.denies)


def _from_somebody(turn: Turn) -> Iterator[Statement]:
    """Nobody knows who spoke: the words are quoted, an answer with its question, and prove nothing but that they were said."""
    if all(is_small_talk(said.text) for said in turn.said) and not turn.asked:
        return
    said = [said for said in turn.said if not said.is_greeting] or turn.said[:1]
    for part in told_together([question.text for question in turn.asked], said):
        asked = turn.asked if part.is_answer else ()
        if not asked and len(part.said) == 1 and is_small_talk(part.text):
            continue
        words = [*(question.text for question in asked), *_by_segment(part)]
        quote = finished(" – ".join(map(quoted, words)))
        group = of_quotation(asked[-1].text if asked else "", part.text[:LONGEST_READ])
        yield Statement(group, quote, quote, _evidence([*asked, *part.said]), by_anyone=True)


def _by_segment(part: Together) -> list[str]:
    if len(part.said) == 1:
        return [part.text]
    pairs = zip(part.said, part.words, strict=True)
    return [" ".join(words for _, words in same) for _, same in groupby(pairs, key=lambda pair: pair[0].segment)]


def _own_words(part: Together) -> Fused:
    text = AGREEMENT.sub("", part.text)
    is_read = len(part.said) == 1 and not part.said[0].is_long
    clinical = (patient_in_note(text) if is_read else None) or f"patient: {quoted(text)}"
    return Fused(clinical, (patient_to_patient(text) if is_read else None) or f"you said: {quoted(text)}")


def _history(group: str, told: Fused, said: Sequence[Utterance]) -> Statement:
    return Statement(group, finished(told.clinical), finished(told.plain), _evidence(said))


def _evidence(said: Iterable[Utterance]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(utterance.segment for utterance in said))
