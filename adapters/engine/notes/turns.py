"""Utterances become turns: what one speaker says until the doctor says something of content. A turn answers what was asked before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from adapters.engine.notes.utterances import LONGEST_READ, Utterance, is_interjection

MOST_QUESTIONS = 4


@dataclass(frozen=True, slots=True)
class Turn:
    """`asked` are the last questions since somebody else spoke; `said` has at least one utterance, all of one speaker.

    A doctor's turn is one utterance, and no question.
    """

    asked: tuple[Utterance, ...]
    said: tuple[Utterance, ...]

    @property
    def speaker(self) -> str:
        return self.said[0].speaker


def turns_of(utterances: Iterable[Utterance]) -> Iterator[Turn]:
    asked: deque[Utterance] = deque(maxlen=MOST_QUESTIONS)
    said: list[Utterance] = []
    for utterance in utterances:
        if said and _goes_on(said[-1], utterance):
            said += [utterance] if utterance.speaker == said[-1].speaker else []
            continue
        if said:
            yield Turn(tuple(asked), tuple(said))
            said = _after(said, asked)
        if utterance.speaker == "patient" or not (utterance.is_question or utterance.speaker == "doctor"):
            said = [utterance]
        else:
            yield from _heard(utterance, asked)
    if said:
        yield Turn(tuple(asked), tuple(said))


def _goes_on(last: Utterance, utterance: Utterance) -> bool:
    """The same speaker, or another's "I see" in between."""
    if utterance.speaker == "doctor" or (utterance.speaker == "unknown" and last.speaker == "patient"):
        return is_interjection(utterance.text)
    return utterance.speaker == last.speaker and not (utterance.is_question and utterance.speaker == "unknown")


def _after(said: list[Utterance], asked: deque[Utterance]) -> list[Utterance]:
    """Nothing is left to answer, unless the turn was a greeting."""
    if not all(utterance.is_greeting for utterance in said):
        asked.clear()
    return []


def _heard(utterance: Utterance, asked: deque[Utterance]) -> Iterator[Turn]:
    """A doctor's utterance, or the question of somebody unknown, which replaces what was asked before."""
    if not utterance.is_question or utterance.speaker == "unknown":
        asked.clear()
    if utterance.is_question:
        asked.append(_end_of(utterance) if utterance.is_long else utterance)
    else:
        yield Turn((), (utterance,))


def _end_of(question: Utterance) -> Utterance:
    """What was asked comes last; every part of a long answer quotes it."""
    return replace(question, text=f"… {question.text[2 - LONGEST_READ :]}")
