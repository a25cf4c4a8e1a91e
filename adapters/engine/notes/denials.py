"""Whether a question asks for a symptom, and whether words say nothing but that there is none."""

from __future__ import annotations

import re

from adapters.engine.notes.groups import one_of
from adapters.engine.notes.medical_words import OF_A_SYMPTOM, SYMPTOM_NAMES

OPENING_REPLY = re.compile(r"^(?:yes|yeah|no|well|oh)(?:[,.] | (?=I\b))", re.IGNORECASE)
A_SYMPTOM = rf"(?:any |a |an )?(?:{OF_A_SYMPTOM} )*{SYMPTOM_NAMES}(?! (?:relief|killers?|medic\w+|meds|tablets|control|management)\b)"
DOING = r"(?:cough(?:ed|ing)?(?: up)?|vomit(?:ed|ing)?|bleed(?:ing)?|wheez(?:ed|ing)|faint(?:ed)?|thrown up|passed out|collapsed)"
FEELING = r"(?:dizzy|light-?headed|faint|sick|nauseous|nauseated|breathless|short of breath|feverish|tired|unwell)"
ASKS_FOR_SYMPTOM = one_of(
    rf"^(?:(?:do you (?:have|get)|have you (?:had|noticed|been having|experienced)|are you (?:having|getting|experiencing)|is there|are there"
    rf"|you have|did you (?:have|get|notice)) )?any {A_SYMPTOM.removeprefix('(?:any |a |an )?')}",
    rf"^(?:do you (?:have|get)|have you (?:had|noticed|been having|experienced)|are you (?:having|getting|experiencing)|did you (?:have|get|notice)) {A_SYMPTOM}",
    rf"^(?:have you|are you|did you|do you)(?: been)? {DOING}\b",
    rf"^(?:(?:do|did) you feel|have you (?:felt|been)|are you(?: feeling)?) {FEELING}\b",
    r"^have you lost (?:any )?weight\b",
)
SAYS_NONE = one_of(
    rf"^(?:I (?:have|had|'ve|get)|I've|there(?:'s| is| was|'s been))? ?(?:had )?no {A_SYMPTOM}",
    rf"^I (?:don't|do not|didn't|haven't|have not|never) (?:have|get|had|noticed|notice|have had|been having)?\s?{A_SYMPTOM}",
    rf"^(?:I have |I've |I've had )?neither {A_SYMPTOM} nor {A_SYMPTOM}",
    rf"^I've (?:not|never) (?:had|noticed|got) {A_SYMPTOM}",
    rf"^I(?:'m| am) not {DOING}\b|^I (?:haven't|have not|didn't) (?:been )?{DOING}\b",
    rf"^I(?:'m| am) not (?:feeling )?{FEELING}\b",
)
# what may follow in a denial: where, and more symptoms of the same "no"
MORE_OF_THE_SAME = re.compile(
    rf"^(?:(?:or|and|nor) )?(?:no |any |a )?(?:(?:{OF_A_SYMPTOM} )*{SYMPTOM_NAMES})?"
    rf"(?:\s?(?:(?:in|with|on) (?:my|the|either) (?:{OF_A_SYMPTOM} )?\w+|sleeping|breathing|swallowing|walking))?(?:\s?(?:at all|whatsoever))?$",
    re.IGNORECASE,
)
LIMITED = re.compile(
    r"\b(?:but|except|apart|only|just|until|unless|although|though|however|more|less|much|still|now|yet|since|today|when|while|if|before|after|again|"
    r"better|improv\w+|away|longer|as|than|like|so)\b|\d",
    re.IGNORECASE,
)


def asks_for_symptom(question: str) -> bool:
    return bool(ASKS_FOR_SYMPTOM.match(question)) and not re.search(
        r"\b(?:still|now|before|again|better|away)\b", question, re.IGNORECASE
    )


def denies(words: str) -> bool:
    """ "No fever, chills or night sweats", and nothing that limits it."""
    text = without_reply(words)
    opening = None if LIMITED.search(text) else SAYS_NONE.match(text)
    if opening is None:
        return False
    return all(MORE_OF_THE_SAME.match(part) for part in re.split(r",\s*|\s+(?=(?:or|and|nor) )", text[opening.end() :].strip()))  # fmt: skip


def without_reply(words: str) -> str:
    """Without the reply that a sentence opens with; the "no" of "no fever" stays."""
    return OPENING_REPLY.sub("", words.rstrip(".! "))
