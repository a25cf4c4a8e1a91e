"""A question and its answer become one statement ("Denies chest pain"), or both are quoted where that could change the meaning.

| answer | question | becomes |
|---|---|---|
| no | any X, do you have X | Denies X |
| no, and a clause of its own | do you X | Does not X; clause |
| yes | do you X | X-es; with two alternatives ("X or Y?") both are quoted |
| opens with neither, is a sentence of its own | anything | a statement of its own |
| anything else ("not really", "two weeks") | anything | Asked "…", answers "…" |

Negative questions ("You don't smoke?"), several questions at once, and answers that contradict themselves are always quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.engine.notes.medical_words import is_about_others
from adapters.engine.notes.persons import (
    THIRD_PARTY,
    about_patient,
    finished,
    first_verb_in_third,
    patient_in_note,
    patient_to_patient,
    quoted,
)
from adapters.engine.notes.utterances import LONGEST_READ


@dataclass(frozen=True, slots=True)
class Fused:
    """`clinical` for the record, `plain` for the patient; neither is capitalised yet.

    `denies`: it says no to the whole question and nothing else. `alone`: it is told without the question.
    """

    clinical: str
    plain: str
    denies: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that opens with yes or no; `rest` is what follows, without a mere echo ("I do")."""

    negative: bool
    rest: str


YES = re.compile(r"^(?:yes|yeah|yep|yup)(?:[,.!]+\s*|\s+(?=I\b)|$)", re.IGNORECASE)
NO = re.compile(r"^(?:no|nope|nah)(?:[,.!]+\s*|\s+(?=I\b)|$)", re.IGNORECASE)
COURTESY = re.compile(r"[,\s]*\b(?:doctor|thank you|thanks|sir|madam)[.!]*$", re.IGNORECASE)
ECHO_YES = re.compile(
    r"^(?:I (?:do|have|am|did|can|was)|it (?:is|does)|that's (?:right|correct)|correct)[.,!]*$", re.IGNORECASE
)
ECHO_NO = re.compile(
    r"^(?:I (?:don't|do not|haven't|have not|didn't|did not|can't|cannot|wasn't|am not)|I'm not|nothing|none|not at all)[.,!]*$",
    re.IGNORECASE,
)
OPENS_WITH_YES = re.compile(r"^I (?:do|have|am|did|can|was),\s+", re.IGNORECASE)
OPENS_WITH_NO = re.compile(
    r"^(?:I (?:don't|haven't|didn't|can't|wasn't)|I'm not|nothing|none|not at all),\s+", re.IGNORECASE
)
WAVERS = re.compile(
    r"^(?:yes|yeah|yep|no|nope|not|well|actually|sort of|kind of|maybe|I think|I guess)\b", re.IGNORECASE
)
SAYS_NO_ITSELF = re.compile(
    r"^(?:no (?=\w)|I (?:don't|do not|haven't|have not|didn't|never|am not)\b|I'm not\b|I've (?:never|not)\b)",
    re.IGNORECASE,
)
QUALIFIES = re.compile(
    r"^(?:but|only|just|except|apart from|unless|although|though|sometimes|when|if|since|with|on|in|at|for|from|every|once|twice|"
    r"about|mostly|mainly|maybe)\b",
    re.IGNORECASE,
)

# what a no may be followed by: "No, in my thigh" and "No, my thigh" would read as no to that, too
GOES_ON = re.compile(r"^(?:but|except|I|I'm|I've|it|it's|they|they're|that's|there|there's|he|she)\b", re.IGNORECASE)

NEGATED = re.compile(r"n't\b|\b(?:not|no|never|without|nor)\b", re.IGNORECASE)
OF_THE_ASKER = re.compile(r"\b(?:I|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
"""Turned into a statement about the patient, the asker's own words would point to the wrong person."""
SEVERAL = re.compile(
    r"\b(?:and|or),? (?:do|does|did|are|is|have|has|any|were|was|can|how|what|when|where)\b|\bor not\b", re.IGNORECASE
)
OPEN = re.compile(
    r"^(?:what (?:brings|can|seems)|how can|how are|tell me|what's (?:going on|the (?:matter|problem|trouble))|how (?:have|are) you)",
    re.IGNORECASE,
)
ANY = re.compile(
    r"^(?:(?:do you (?:have|get)|have you|are you having|are you experiencing|you have|is there|are there) )?any (?P<thing>.+)$",
    re.IGNORECASE,
)
POLAR = re.compile(r"^(?P<verb>do|did|are|were|have|can|could|will) you (?P<rest>.+)$", re.IGNORECASE)
POLAR_IT = re.compile(r"^(?P<verb>is|was|does|did|has) (?P<it>it|that|this|there) (?P<rest>.+)$", re.IGNORECASE)
MEASURE = re.compile(r"^how \w+ (?:was|is|were|are) (?:the|your|that|this) (?P<thing>[\w -]{2,30})$", re.IGNORECASE)
OWN_SENTENCE = re.compile(r"^(?:I|I'm|I've|I'd|I'll|my|the|no|there)\b", re.IGNORECASE)
HAS_SUBJECT = re.compile(r"^(?:I|I'm|I've|my|it|it's|they|they're|that|that's|there|there's|he|she)\b", re.IGNORECASE)
# ends in a word that stands for something in the question: alone, the answer says nothing
LEANS_ON_QUESTION = re.compile(
    r"\b(?:so|not|it|that|this|them|those|these|know|sure|sometimes|one|some|none|either|neither|too|do|did|have|am|much|many|lot|bit)"
    r"\W*$|^no\s*[–—-]|^no (?:but|except|apart|just|only|wait|well|more|less|idea|different|change|worse|better|problem)\b",
    re.IGNORECASE,
)
LONGEST_QUESTION = 20

THIRD = {"do": "does", "are": "is", "were": "was", "have": "has"}


def fuse(questions: Sequence[str], answer: str) -> Fused | None:
    """None when the answer stands on its own. `questions` are those asked since the patient last spoke, in order."""
    if max(map(len, (*questions, answer))) > LONGEST_READ:
        return both_quoted(questions, answer)
    if OPEN.match(questions[-1]):
        return None
    question = questions[0].rstrip("?. ") if len(questions) == 1 else ""
    reply = reply_of(answer)
    if reply and question:
        return _polar(question, reply) or both_quoted(questions, answer)
    if not reply and _stands_alone(answer):
        return None
    return (None if reply else _measured(question, answer)) or both_quoted(questions, answer)


def is_told_alone(questions: Sequence[str], answer: str) -> bool:
    """Whether the answer needs none of the questions."""
    return fuse(questions, answer) is None


def _stands_alone(answer: str) -> bool:
    return bool(OWN_SENTENCE.match(answer)) and len(answer.split()) > 2 and not LEANS_ON_QUESTION.search(answer)


def reply_of(answer: str) -> Reply | None:
    bare = COURTESY.sub("", answer)
    if ECHO_YES.match(bare) or ECHO_NO.match(bare):
        return Reply(bool(ECHO_NO.match(bare)), "")
    opening = NO.match(bare) or YES.match(bare)
    if opening is None:
        return None
    negative, rest = bool(NO.match(bare)), bare[opening.end() :].strip(" ,")
    echo, opening_echo = (ECHO_NO, OPENS_WITH_NO) if negative else (ECHO_YES, OPENS_WITH_YES)
    return Reply(negative, "" if echo.match(rest) else opening_echo.sub("", rest))


def _polar(question: str, reply: Reply) -> Fused | None:
    if LEANS_ON_QUESTION.search(reply.rest) and reply.negative:
        return None
    if reply.negative and SAYS_NO_ITSELF.match(reply.rest):
        return _no_itself(reply.rest)
    if not _is_simple(question, reply):
        return None
    said = _any(question, reply.negative) or _you(question, reply.negative) or _it(question, reply.negative)
    if said is None or reply.rest:
        return said and _with_rest(said, reply)
    return replace(said, denies=reply.negative)


def _is_simple(question: str, reply: Reply) -> bool:
    """Whether a yes or no to this question has one meaning only."""
    if NEGATED.search(question) or SEVERAL.search(question) or len(question.split()) > LONGEST_QUESTION:
        return False
    if OF_THE_ASKER.search(question) or is_about_others(question):
        return False
    if OPENS_WITH_YES.match(reply.rest) or OPENS_WITH_NO.match(reply.rest):
        return False
    if reply.negative and reply.rest and not GOES_ON.match(reply.rest):
        return False
    if reply.rest and (WAVERS.match(reply.rest) or ECHO_YES.match(reply.rest) or ECHO_NO.match(reply.rest)):
        return False
    return reply.negative or not re.search(r"\bor\b|\bever\b|,", question)


def _alone(rest: str) -> Fused | None:
    clinical, plain = patient_in_note(rest), patient_to_patient(rest)
    return Fused(clinical, plain) if clinical and plain else None


def _no_itself(rest: str) -> Fused | None:
    """ "No, I haven't had a fever": the answer has its own no."""
    told = _alone(rest)
    return told and replace(told, alone=True)


def _any(question: str, negative: bool) -> Fused | None:
    match = ANY.match(question)
    thing = about_patient(match["thing"]) if match else None
    if not match or not thing:
        return None
    plain = match["thing"]
    return (
        Fused(f"denies {thing}", f"you reported no {plain}")
        if negative
        else Fused(f"reports {thing}", f"you reported {plain}")
    )


def _you(question: str, negative: bool) -> Fused | None:
    match = POLAR.match(question)
    if not match:
        return None
    verb, plain = match["verb"].lower(), match["rest"]
    if not negative:
        plain = re.sub(r"\bany(thing|one|where)\b", r"some\1", plain)
        plain = re.sub(r"\bany ", "", plain)
    rest = about_patient(plain)
    if rest is None:
        return None
    if not THIRD_PARTY.search(plain):
        rest = rest.replace("the patient's", "their")
    if negative:
        never = verb == "have" and rest.startswith("ever ")
        cut = 5 if never else 0
        word = "never" if never else "not"
        return Fused(f"{THIRD.get(verb, verb)} {word} {rest[cut:]}", f"you {verb} {word} {plain[cut:]}")
    if verb == "do":
        return Fused(first_verb_in_third(rest), f"you {plain}")
    return Fused(f"{THIRD.get(verb, verb)} {rest}", f"you {verb} {plain}")


def _it(question: str, negative: bool) -> Fused | None:
    """ "Is it worse at night?" — "it" stays, as what it stands for was said before."""
    match = POLAR_IT.match(question)
    rest = about_patient(match["rest"]) if match else None
    if not match or not rest:
        return None
    it, verb, plain = match["it"].lower(), match["verb"].lower(), match["rest"]
    if negative:
        return Fused(f"{it} {verb} not {rest}", f"{it} {verb} not {plain}")
    if verb == "does":
        return Fused(f"{it} {first_verb_in_third(rest)}", f"{it} {first_verb_in_third(plain)}")
    return Fused(f"{it} {verb} {rest}", f"{it} {verb} {plain}")


def _with_rest(said: Fused, reply: Reply) -> Fused | None:
    clinical, plain = patient_in_note(reply.rest), patient_to_patient(reply.rest)
    if not clinical or not plain:
        return None
    asks_which = said.clinical.startswith("reports ") or said.clinical.endswith(" something")
    names = asks_which and len(reply.rest.split()) <= 6 and not HAS_SUBJECT.match(reply.rest)
    join = ", " if QUALIFIES.match(reply.rest) else ": " if names else "; "
    return Fused(said.clinical + join + clinical, said.plain + join + plain)


def _measured(question: str, answer: str) -> Fused | None:
    """ "How high was the fever?" "It was 38.4." → "The fever was 38.4." """
    match, value = MEASURE.match(question), re.match(r"it(?:'s| (is|was)) (.+)$", answer, re.IGNORECASE)
    if not match or not value:
        return None
    told = _alone(value[2])
    if told is None:
        return None
    verb = (value[1] or "is").lower()
    return Fused(f"the {match['thing']} {verb} {told.clinical}", f"the {match['thing']} {verb} {told.plain}")


def both_quoted(questions: Sequence[str], answer: str) -> Fused:
    asked = quoted(" ".join(questions))
    return Fused(
        finished(f"asked {asked}, answers {quoted(answer)}"), f"you were asked {asked} and answered {quoted(answer)}"
    )
