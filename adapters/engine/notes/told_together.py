"""Which sentences of one turn are told together, as alone they would say something else ("No. Oh wait, penicillin.").

| the sentence | is told |
|---|---|
| the first of an answer | with the question |
| corrects or limits ("Well, sometimes."), is a fragment, or leans on what was said before ("I had one.") | with the answer and the sentence before it |
| after a no: speaks of what was asked | with the answer |
| agrees with the reply ("No. I don't."), thanks | not at all |
| anything else | alone |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from adapters.engine.notes.answers import LEANS_ON_QUESTION, OPEN, is_told_alone, reply_of
from adapters.engine.notes.denials import denies
from adapters.engine.notes.groups import REACTED
from adapters.engine.notes.medical_words import SYMPTOM
from adapters.engine.notes.sorting import group_of_words, question_group
from adapters.engine.notes.utterances import Utterance, is_small_talk

LONGEST_QUOTE = 1000
"""In characters. A longer answer is quoted in parts, each with its question."""
SHORT = 8
FILLERS = r"^(?:(?:oh|ah|um+|uh+|erm|h?mm+|so|and|er|okay|ok|right|alright|you know|doctor)\b[\s,.!…-]+)*"
LIMITS = (
    r"(?:actually|wait|hold on|hang on|i mean|i meant|i forgot|sorry|just|only|except|but|apart from|other than|besides|unless|although|though"
    r"|not|or|nope|nah|no(?=\s*[,.!…?]|\s*$| I\b))(?!\w)"
)
LIMITING = re.compile(FILLERS + LIMITS, re.IGNORECASE)
CORRECTING = re.compile(
    rf"^(?:oh|ah|h?mm+)\b|{FILLERS}(?:{LIMITS}|(?:well|yes|yeah|yep|yup|sometimes|maybe|perhaps|occasionally)(?!\w))",
    re.IGNORECASE,
)
CLAUSE = re.compile(
    r"^(?:I|I'm|I've|I'd|I'll|we|my|our|the|no|there|you|you're|you've|your|let|let's)\b"
    r"|^(?!because|when|if|while|since|as|once|until|after|before)\S+ (?:\S+ )*?(?:I|I'm|I've|my|we|our)\b",
    re.IGNORECASE,
)
STANDS_IN = re.compile(
    r"^(?:it|it's|that|that's|this|these|those|they|they're|he|she)\b"
    r"|^I (?:used to|do|did|have|had) (?:(?:so|also|too|only|just) )?(?:when|if|as|in|once|before|until|till|though|but|last|yesterday|sometimes|a (?:few|long|couple))\b",
    re.IGNORECASE,
)
SPOKEN_TO = re.compile(r"^(?:you|you're|you've|your|let|let's|we)\b|\byour?\b", re.IGNORECASE)
ASKING_WORDS = (
    "any have has had been ever your you the for with and are was were does did what when how there this that from now since still last "
    "other having get got feel feeling felt noticed experienced who why where which can could would will about into than then too not "
    "she her him his they them"
)
ASKING = frozenset(word[:4] for word in ASKING_WORDS.split())


@dataclass(slots=True)
class Together:
    """Told as one. `is_answer`: to what was asked. `is_bound`: to its question, and quoted with it."""

    is_answer: bool
    is_bound: bool = False
    said: list[Utterance] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def add(self, utterance: Utterance, after_gap: bool = False) -> None:
        self.said.append(utterance)
        self.words.append(f"… {utterance.spoken}" if after_gap else utterance.spoken)

    @property
    def text(self) -> str:
        """One sentence without its "oh" and "well", several as they were spoken."""
        return " ".join(self.words) if len(self.said) > 1 or self.is_bound else self.said[0].text

    @property
    def length(self) -> int:
        return sum(map(len, self.words))


@dataclass(frozen=True, slots=True)
class Matter:
    """What a no was the answer to: the question's group and its telling words."""

    group: str | None
    words: set[str]

    def takes(self, text: str, group: str | None) -> bool:
        if self.group and group == self.group:
            return True
        reacted = self.group == "allergies" and group is None and REACTED.search(text)
        return bool(reacted or self.words & _content(text))


def told_together(questions: Sequence[str], said: Sequence[Utterance]) -> Iterator[Together]:
    """`said` is one turn, not all greetings; with `questions`, the first part is an answer to them."""
    first, *more = (utterance for utterance in said if not utterance.is_greeting)
    reply = None if first.is_long else reply_of(first.text)
    negative = reply is not None and reply.negative
    more = [later for later in more if not _is_idle(later, negative)]
    if not questions or OPEN.match(questions[-1]) or is_told_alone(questions, first.text):
        yield from _with_limits(first, more, bool(questions))
    else:
        yield from _answer(questions[-1], first, more, negative)


def _is_idle(later: Utterance, negative: bool) -> bool:
    if later.is_long:
        return False
    reply = reply_of(later.text)
    if reply is None:
        return is_small_talk(later.text) and not CORRECTING.match(later.spoken)
    return reply.negative == negative and not reply.rest


def _with_limits(first: Utterance, more: list[Utterance], asked: bool) -> Iterator[Together]:
    """Sentences that stand alone, each with what limits it."""
    part = Together(asked)
    part.add(first)
    for later in more:
        if not _limits(later, part.said[-1]) or part.length > LONGEST_QUOTE:
            yield part
            part = Together(False)
        part.add(later)
    yield part


def _answer(question: str, first: Utterance, more: list[Utterance], negative: bool) -> Iterator[Together]:
    matter = Matter(question_group(question), _content(question)) if negative else None
    leaning = [True, *(_leans(later, matter) for later in more)]
    part = Together(True, is_bound=any(leaning[1:]))
    alone: list[Utterance] = []
    told = -1
    for n, utterance in enumerate([first, *more]):
        if not any(leaning[n : n + 2]):
            alone.append(utterance)
            continue
        if part.said and part.length + len(utterance.spoken) > LONGEST_QUOTE:
            yield part
            part = Together(True, is_bound=True)
        part.add(utterance, after_gap=told < n - 1)
        told = n
    yield part
    for utterance in alone:
        part = Together(False)
        part.add(utterance)
        yield part


def _limits(later: Utterance, before: Utterance) -> bool:
    if later.is_long or before.is_long or later.is_question or not LIMITING.match(later.spoken):
        return False
    return not (CLAUSE.match(later.text) and _is_clear(later.text)) or bool(
        _content(before.text) & _content(later.text)
    )


def _leans(later: Utterance, denied: Matter | None) -> bool:
    if later.is_long:
        return False
    if later.is_question or CORRECTING.match(later.spoken):
        return True
    text, group = later.text, group_of_words(later.text)
    if denied and denied.takes(text, group):
        return True
    if denies(text) or group:
        return False
    if not CLAUSE.match(text) or STANDS_IN.match(text) or LEANS_ON_QUESTION.search(text):
        return True
    return len(text.split()) <= SHORT and not SPOKEN_TO.search(text) and not SYMPTOM.search(text)


def _is_clear(text: str) -> bool:
    return bool(group_of_words(text) or SYMPTOM.search(text))


def _content(text: str) -> set[str]:
    return {word[:4] for word in re.findall(r"[^\W\d_]{3,}", text.casefold())} - ASKING
