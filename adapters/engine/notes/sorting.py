"""Which fact group a statement of the history belongs to. Unsure is `history-of-present-illness`: it claims the least.

Where a heading could change what a sentence means ("Had breast cancer" under family history), the sentence must hold the words for it itself.
"""

from __future__ import annotations

import re

from adapters.engine.notes.denials import asks_for_symptom, denies, without_reply
from adapters.engine.notes.groups import ALLERGIC, ASKED, IN_THE_FAMILY, REACTED, TOLD, WORRIED, one_of
from adapters.engine.notes.medical_words import (
    MEDICINES,
    OF_A_SYMPTOM,
    OTHER_PEOPLE,
    SYMPTOM,
    SYMPTOM_NAMES,
    is_about_others,
)

DEFAULT = "history-of-present-illness"
DENIALS = "denials-of-symptoms"
CHIEF_COMPLAINT = "chief-complaint"

# a sentence of its own that answers such a question is understood without it
UNDERSTOOD_ALONE = frozenset(
    {
        "concerns-and-expectations",
        "medications-prior-to-visit",
        "surgical-history",
        "social-history",
        "past-medical-history",
        "functional-status",
        "demographics",
    }
)
# "Do you smoke?" "No, but my chest hurts."
BESIDE_SYMPTOMS = UNDERSTOOD_ALONE - {"concerns-and-expectations", "past-medical-history"} | {"family-history"}
MEDICATED = re.compile(
    rf"\b(?:tak(?:e|en|ing)|took|us(?:e|ed|ing)|on|prescri\w+|none|nothing)\b|{MEDICINES}", re.IGNORECASE
)
# words
SEVERAL_MATTERS = 40
NO_ONE_QUESTION = 100
CLAUSES = re.compile(
    r"\s*(?:[;:]|,?\s(?:and|but|so|because|although|though)|,)\s+(?=(?:then |now |also )?(?:I|I'm|I've|I'd|my|it|it's|the|there|there's|they|he|she)\b)",
    re.IGNORECASE,
)
WHY_TAKEN = re.compile(rf"\b(?:for|with) (?:\w+ ){{0,2}}?(?:{OF_A_SYMPTOM} )*{SYMPTOM_NAMES}", re.IGNORECASE)
HEDGED = re.compile(
    r"\b(?:think|thought|maybe|might|may|could be|perhaps|wonder\w*|guess|probably)\b(?! I(?:'m| am) allergic)",
    re.IGNORECASE,
)
NOT_YET = re.compile(
    r"\b(?:will|going to|would|should|supposed to|need to|want|scheduled|next (?:week|month|year)|waiting)\b",
    re.IGNORECASE,
)

NEVER_THE_REASON = frozenset({"allergies", "family-history", "demographics"})
OPENING_QUESTION = one_of(
    r"^(?:what|how) can (?:I|we) (?:do|help)\b",
    r"^what (?:brings|brought) you\b",
    r"^what (?:made|makes) you (?:come|call|book)\b",
    r"^what (?:seems|appears) to be the\b",
    r"^what(?:'s| is| has|'s been) (?:going on|the (?:matter|problem|trouble)|been (?:going on|happening|troubling))\b",
    r"^why (?:are you here|have you come|did you come)\b",
    r"^what (?:are you here|have you come in) (?:for|about)\b",
)
# "I'd like you to take it daily, okay?"
PROPOSES = re.compile(
    r"\b(?:I'd|I'll|I (?:want|would)|we(?:'ll| need| may| will| should)|let's|going to|you (?:need|should)|try (?:not )?to)\b"
    r"|(?<!that's )\b(?:okay|ok|all right|alright)\W*$",
    re.IGNORECASE,
)
LIVES_WITH = re.compile(r"\byou live\b|\blive with you\b|\bat home\b", re.IGNORECASE)
HOW_ARE_YOU = re.compile(r"^how (?:are|have) you\b", re.IGNORECASE)
WHY_HERE = one_of(
    r"\bI(?:'m| am) here (?:today )?(?:for|about|because|to)\b",
    r"\bI(?:'ve)? (?:came|come)(?: in| here| to see you)?(?: today)? (?:because|about|for|to (?:see|get|ask|talk|discuss))\b",
    r"\breason (?:why )?I(?:'m| am| came|'ve come)\b",
)
PLEASANTRY = re.compile(
    r"^(?:I(?:'m| am)(?: doing| feeling)? )?(?:(?:very|pretty|quite|all|not too|not so) )*(?:well|fine|good|great|okay|ok|right|bad)"
    r"(?:,? (?:thanks|thank you)(?: very much)?)?(?:,? doctor)?$",
    re.IGNORECASE,
)


def of_answer(question: str, answer: str, denied: bool) -> str:
    """A statement that holds question and answer. `denied`: it says no to the whole question and nothing else."""
    asked = question_group(question)
    if is_about_others(question):
        return asked or DEFAULT
    own = group_of_words(answer)
    if own == "allergies":
        return own
    if asked in BESIDE_SYMPTOMS and _tells_symptom(answer) and not OTHER_PEOPLE.search(answer):
        return DEFAULT
    return asked or (DENIALS if denied and asks_for_symptom(question) else own or DEFAULT)


def of_own_words(question: str, words: str) -> str:
    """A sentence of the patient's that is told alone; `question` is what it answers, or empty."""
    if own := group_of_words(words):
        return own
    if denies(words):
        return DENIALS
    asked = question_group(question)
    if asked == "allergies" and REACTED.search(words) and not OTHER_PEOPLE.search(words):
        return asked
    if asked is None or asked not in UNDERSTOOD_ALONE or OTHER_PEOPLE.search(words) or SYMPTOM.search(words):
        return DEFAULT
    return DEFAULT if asked == "medications-prior-to-visit" and not MEDICATED.search(words) else asked


def of_quotation(questions: str, words: str) -> str:
    """Nobody knows who spoke: only what is clear whoever said it."""
    if asked := question_group(questions):
        return asked
    if is_about_others(questions) or re.search(r"\byou(?:r|'re|'ve)?\b", words, re.IGNORECASE):
        return DEFAULT
    own = group_of_words(words)
    return own if own and own != "concerns-and-expectations" else DEFAULT


def question_group(question: str) -> str | None:
    """What the question is about; of family and allergies the one named first ("any family history of allergies?").

    Of what another person has, takes or does, only illness in the family belongs in the patient's chart.
    """
    if len(question.split()) > NO_ONE_QUESTION or PROPOSES.search(question):
        return None
    fits = [(group, found.start()) for group, pattern in ASKED.items() if (found := pattern.search(question))]
    if is_about_others(question):
        fits = [(group, start) for group, start in fits if _may_be_about_others(group, question)]
    if [group for group, _ in fits[:2]] == ["family-history", "allergies"]:
        return min(fits[:2], key=lambda fit: fit[1])[0]
    return fits[0][0] if fits else None


def _may_be_about_others(group: str, question: str) -> bool:
    if group == "social-history":
        return bool(LIVES_WITH.search(question))
    return group in ("family-history", "concerns-and-expectations")


def tells_why_they_came(questions: list[str], words: str, group: str, first: bool) -> bool:
    """`questions` are those that the words answer, `group` where they belong else; `first`: the patient has told nothing yet."""
    if group in NEVER_THE_REASON or PLEASANTRY.match(words.rstrip(".!")) or len(words.split()) < 2:
        return False
    if WHY_HERE.search(words) or (questions and OPENING_QUESTION.match(questions[-1])):
        return True
    may_open = HOW_ARE_YOU.match(questions[-1]) if questions else first
    return bool(may_open and group == DEFAULT and SYMPTOM.search(words))


def group_of_words(words: str) -> str | None:
    """The group that the clauses agree on. None when one of them tells of a symptom besides."""
    if len(words.split()) > SEVERAL_MATTERS:
        return None
    clauses = CLAUSES.split(without_reply(words))
    groups = [(clause, _of_clause(clause)) for clause in clauses]
    if any(group is None and SYMPTOM.search(clause) for clause, group in groups):
        return None
    found = [group for _, group in groups if group]
    return "allergies" if "allergies" in found else found[0] if found else None


def _of_clause(clause: str) -> str | None:
    if IN_THE_FAMILY.search(clause) and not HEDGED.search(clause):
        return None if re.search(r"\b(?:I|I'm|I've|me)\b", clause) else "family-history"
    others = OTHER_PEOPLE.search(clause)
    if ALLERGIC.search(clause) and not others:
        return None if HEDGED.search(clause) else "allergies"
    if WORRIED.search(clause):
        return "concerns-and-expectations"
    if others:
        return "social-history" if re.search(r"\bI (?:still |currently )?live with\b", clause) else None
    if HEDGED.search(clause) or _tells_symptom(clause):
        return None
    return next((group for group, told in TOLD.items() if _is_told(told, clause, group)), None)


def _tells_symptom(words: str) -> bool:
    """Other than what a medicine is taken for."""
    return bool(SYMPTOM.search(WHY_TAKEN.sub("", words)))


def _is_told(told: re.Pattern[str], clause: str, group: str) -> bool:
    intended = group in ("medications-prior-to-visit", "surgical-history") and NOT_YET.search(clause)
    return bool(told.search(clause)) and not intended
