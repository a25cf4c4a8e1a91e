"""What somebody said in the first or second person, told in the third ("Takes lisinopril") or to the patient ("You take").

Each function gives None when the rules are not sure of the grammar or of who is meant; the words are then quoted as said.
"""

from __future__ import annotations

import re

ADVERBS = (
    "also just really still always never sometimes usually often only even probably definitely recently currently "
    "already mostly normally mainly occasionally certainly simply strongly"
)
ADVERB = rf"(?: (?:{'|'.join(ADVERBS.split())}))*"

IRREGULAR = {
    "am": "is", "are": "is", "were": "was", "have": "has", "do": "does", "go": "goes",
    "don't": "does not", "haven't": "has not", "aren't": "is not", "weren't": "was not", "can't": "cannot",
    "couldn't": "could not", "didn't": "did not", "wasn't": "was not", "won't": "will not", "wouldn't": "would not",
    "hadn't": "had not", "shouldn't": "should not", "mustn't": "must not", "needn't": "need not",
}  # fmt: skip
PAST_AND_MODAL = (
    "was had did went came took got felt saw told said gave found began started hurt fell thought knew left kept made "
    "put ran sat slept stood threw woke wore broke bought brought caught ate drank drove lost met paid read sent spent "
    "taught won could would should might may must can cannot will shall used cut hit let quit set shut became held heard "
    "understood swam rang sang spoke wrote rode grew blew bled bit chose forgot hid shook stole tore lay laid led bent "
    "built burnt dealt dreamt fed fought hung lent lit meant rose sold shot sank slid spat spread stuck stung struck swore "
    "swelled swept swung burst cost felt split bet"
)
SAME_IN_ALL_PERSONS = frozenset(PAST_AND_MODAL.split())
CLEAR_VERBS = "feel take get go have need want do keep eat wake use"

LEFT_OVER_FIRST = re.compile(r"\b(?:I|me|my|mine|myself|we|us|our|ours|ourselves|let's)\b(?!-)", re.IGNORECASE)
LEFT_OVER_SECOND = re.compile(r"\b(?:you|your|yours|yourself)\b", re.IGNORECASE)
INVERTED = re.compile(
    r"\b(?:am|do|did|have|should|can|could|would|will|was|may|must|had) (?:I|you|we)\b", re.IGNORECASE
)
THIRD_PARTY = re.compile(r"\b(?:he|she|they|him|her|his|them|their|they're|he's|she's|y'all)\b", re.IGNORECASE)

FILLER = re.compile(r"\b(?:you know|I mean)\b", re.IGNORECASE)
NO_VERB = r"(?:the|your|a|an|my|and|or|but|i|is|has|to|of|in|on|it|that|this)\b"
LONGEST = 40

WOULD = r"(?= (?:also |really )?(?:like|love|prefer|rather|want|recommend|suggest|be|say|expect|advise|hope)\b)"
HAD = r"(?= (?:also |already |just |never )?(?:been|had|gone|done|taken|got|felt|\w{2,}ed)\b)"


def patient_in_note(text: str) -> str | None:
    """ "I've had a cough" → "has had a cough"; a later "I" becomes "the patient". Not capitalised, see `finished`."""
    if _is_unsure(text) or INVERTED.search(text) or LEFT_OVER_SECOND.search(text):
        return None
    told = _first_person(text, "the patient")
    told = _coordinated(text, told)
    told = re.sub(r"^my\b", "the patient's", told, flags=re.IGNORECASE)
    named = told.startswith("the patient's") or THIRD_PARTY.search(text)
    told = re.sub(r"\bmy\b", "the patient's" if named else "their", told, flags=re.IGNORECASE)
    told = re.sub(r"\bme\b", "the patient", told, flags=re.IGNORECASE)
    return None if LEFT_OVER_FIRST.search(told) else told


def doctor_in_note(text: str) -> str | None:
    """ "I will start you on" → "will start the patient on". Not capitalised."""
    if _is_unsure(text) or INVERTED.search(text):
        return None
    if re.match(r"let me\b", text, re.IGNORECASE):
        return None
    told = re.sub(r"^(?:we'll|we will)\b", "will", text, flags=re.IGNORECASE)
    told = re.sub(r"^(?:we're|we are|I'm|I am) going to\b", "going to", told, flags=re.IGNORECASE)
    told = re.sub(r"^let's\b", "plan: ", told, flags=re.IGNORECASE).replace("plan:  ", "plan: ")
    told = re.sub(r"\bme\b", "the doctor", _first_person(told, "the doctor"), flags=re.IGNORECASE)
    return None if LEFT_OVER_FIRST.search(told) else about_patient(told)


def about_patient(text: str) -> str | None:
    """The listener's "you" and "your" as "the patient" and "the patient's"."""
    told = re.sub(r"\byou're\b", "the patient is", text, flags=re.IGNORECASE)
    told = re.sub(r"\byou've\b", "the patient has", told, flags=re.IGNORECASE)
    told = re.sub(r"\byou'll\b", "the patient will", told, flags=re.IGNORECASE)
    told = re.sub(rf"\byou'd{WOULD}", "the patient would", told, flags=re.IGNORECASE)
    told = re.sub(r"\byour\b", "the patient's", told, flags=re.IGNORECASE)
    told = re.sub(rf"(?:(?P<before>[\w']+)(?P<gap>,? ))?\byou\b(?P<adverb>{ADVERB})(?: (?P<verb>[a-z]+(?:'t)?)\b)?(?!')",
                  _second_person, told, flags=re.IGNORECASE)  # fmt: skip
    return None if LEFT_OVER_SECOND.search(told) else told


def patient_to_patient(text: str) -> str | None:
    """ "I've had a cough" → "you have had a cough"."""
    if _is_unsure(text) or LEFT_OVER_SECOND.search(text):
        return None
    told = re.sub(r"\bI'm\b|\bI am\b", "you are", text, flags=re.IGNORECASE)
    told = re.sub(r"\bI was(n't)?\b", r"you were\1", told, flags=re.IGNORECASE)
    told = re.sub(r"\bam I\b", "are you", told, flags=re.IGNORECASE)
    told = re.sub(r"\bwas I\b", "were you", told, flags=re.IGNORECASE)
    told = re.sub(r"\bI've\b", "you have", told, flags=re.IGNORECASE)
    told = re.sub(r"\bI'(ll|d)\b", r"you'\1", told, flags=re.IGNORECASE)
    told = re.sub(rf"\bI({ADVERB}) am\b", r"you\1 are", told, flags=re.IGNORECASE)
    for mine, yours in (("I", "you"), ("me", "you"), ("my", "your"), ("mine", "yours"), ("myself", "yourself")):
        told = re.sub(rf"\b{mine}\b(?!-)", yours, told, flags=re.IGNORECASE)
    return None if LEFT_OVER_FIRST.search(told) else told


def doctor_to_patient(text: str) -> str | None:
    """ "I hear crackles" → "your doctor hears crackles"; "you" stays and "we" is the clinic."""
    if _is_unsure(text) or INVERTED.search(text):
        return None
    told = _first_person(text, "your doctor", drop_first=False)
    told = re.sub(r"\bme\b", "your doctor", told, flags=re.IGNORECASE)
    return None if re.search(r"\b(?:I|my|mine|myself)\b(?!-)", told, flags=re.IGNORECASE) else told


def third_person(verb: str) -> str:
    """The form after "the patient". Past forms and modal verbs stay."""
    low = verb.lower()
    if low in IRREGULAR:
        return IRREGULAR[low]
    if low in SAME_IN_ALL_PERSONS or (low.endswith("ed") and not low.endswith("eed")):
        return verb
    return _with_s(verb)


def _with_s(verb: str) -> str:
    low = verb.lower()
    if low.endswith("s") and not low.endswith("ss"):
        return verb  # no base form of a verb: a noun was taken for one
    if low.endswith(("s", "x", "ch", "sh", "z")):
        return verb + "es"
    return verb[:-1] + "ies" if re.search(r"[^aeiou]y$", low) else verb + "s"


def first_verb_in_third(text: str) -> str:
    """ "still smoke ten a day" → "still smokes ten a day". The verb is a base form: "hurt" is not taken for the past."""

    def told(match: re.Match[str]) -> str:
        verb = match["verb"]
        return match["adverb"] + (IRREGULAR.get(verb) or _with_s(verb))

    return re.sub(rf"^(?P<adverb>(?:(?:{'|'.join(ADVERBS.split())}) )*)(?P<verb>[a-z]+)", told, text, count=1)


def finished(text: str) -> str:
    """A sentence: units in figures shortened, a capital to begin and a full stop to end."""
    text = re.sub(r"(?<=\d) ?milligrams?\b", " mg", text)
    text = re.sub(r"(?<=\d) ?(?:percent|per cent)\b", "%", text).strip(" ,;")
    if text[:1].isascii():
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "…", '."', '!"', '?"')) else text + "."


def quoted(text: str) -> str:
    return '"' + text.replace('"', "'") + '"'


def _is_unsure(text: str) -> bool:
    """Broken off, strung together without end, or with fillers that would read as statements ("the patient knows")."""
    return text.endswith(("..", "…", "-")) or len(text.split()) > LONGEST or bool(FILLER.search(text))


def _first_person(text: str, subject: str, drop_first: bool = True) -> str:
    def told(match: re.Match[str], verb: str) -> str:
        return verb if drop_first and match.start() == 0 else f"{subject} {verb}"

    def inflected(match: re.Match[str]) -> str:
        return told(match, f"{match[1].lstrip()} {third_person(match[2])}".lstrip())

    for form, verb in (
        ("I'm", "is"),
        ("I've", "has"),
        ("I'll", "will"),
        ("I'd" + WOULD, "would"),
        ("I'd" + HAD, "had"),
    ):
        text = re.sub(rf"\b{form}(?!\w)", lambda match, verb=verb: told(match, verb), text, flags=re.IGNORECASE)  # type: ignore[misc]
    return re.sub(rf"\bI({ADVERB}) (?!{NO_VERB})([a-z]+(?:'t)?)\b(?!')", inflected, text, flags=re.IGNORECASE)


def _coordinated(said: str, told: str) -> str:
    """ "I get up and take it" → "gets up and takes it": the second verb follows the first, when that is a plain present."""
    first = re.match(rf"I{ADVERB} ([a-z]+)\b", said, flags=re.IGNORECASE)
    if first is None or third_person(first[1]) == first[1] or re.search(r"\b(?:I|to)\b", said[first.end() :]):
        return told
    verbs = "|".join(CLEAR_VERBS.split())
    return re.sub(rf"\b(and|or) ({verbs})\b", lambda m: f"{m[1]} {third_person(m[2])}", told)


BEFORE_A_SUBJECT = (
    "when if that because as before after while once until unless so and or but since what how where whether think hope "
    "suspect believe say said mean know feel sure time"
)
SUBJECT_FOLLOWS = frozenset(BEFORE_A_SUBJECT.split())
TAKES_BARE_INFINITIVE = frozenset({"let", "help", "make", "have", "see", "hear", "watch", "had"})
AUXILIARY_FORMS = (
    "are have had were can could should will would may might must need do did don't haven't aren't weren't can't shouldn't "
    "didn't won't mustn't needn't couldn't"
)
AUXILIARIES = frozenset(AUXILIARY_FORMS.split())


def _second_person(match: re.Match[str]) -> str:
    before, verb = (match["before"] or "").lower(), match["verb"]
    lead = f"{match['before']}{match['gap']}" if match["before"] else ""
    told = f"{lead}the patient{match['adverb']}"
    if verb is None:
        return told
    at_clause_start = not before or "," in match["gap"] or before in SUBJECT_FOLLOWS
    is_subject = at_clause_start or (verb.lower() in AUXILIARIES and before not in TAKES_BARE_INFINITIVE)
    return f"{told} {third_person(verb) if is_subject else verb}"
