"""Which section a doctor's statement belongs to, and how it reads there. What fits none is left out."""

from __future__ import annotations

import re

from adapters.engine.notes.finding_groups import NAMED_RESULT
from adapters.engine.notes.medical_words import MEDICINES
from adapters.engine.notes.persons import about_patient, doctor_in_note

EXAMINING = re.compile(
    r"^(?:let me(?! (?:know|start|give|prescribe|refer|order|put))|(?:I'm|I am) (?:just )?going to (?:listen|look|examine|feel|press|check|have a look|take a look)|"
    r"I'll (?:just )?(?:listen|look|examine|feel|press|check|have a look|take a look)|take a (?:deep )?breath|"
    r"(?:deep )?breathe? (?:in|out)|lift your|open your mouth|lie (?:down|back)|roll up|turn (?:around|over)|"
    r"hold (?:still|your breath)|tell me|look (?:up|down|at|straight)|push|squeeze|follow my|say ah)\b",
    re.IGNORECASE,
)
RETOLD = re.compile(
    r"\b(?:last (?:year|time|month|visit)|previously|in the past|history of|you (?:said|told|mentioned|came|come|saw)|"
    r"you(?:'re| are| were) here|used to)\b",
    re.IGNORECASE,
)
SAFETY_NET = re.compile(
    r"^if\b.{0,200}?\b(?:call|ring|phone|come (?:back|in)|go to|see (?:a|your|us|me)|let (?:me|us) know|return|stop)\b",
    re.IGNORECASE,
)
CONDITION = re.compile(r"^(?:if|when|unless|once)\b", re.IGNORECASE)

MODAL = re.compile(
    r"\b(?:will|going to|should|need|needs|would like|I'd like|let's|recommend|advise|suggest you|want you|want to|"
    r"(?:I|we|you|it)'ll|must|have to|ought|won't|shouldn't|mustn't|needn't)\b",
    re.IGNORECASE,
)
ACTION = re.compile(
    r"\b(?:prescrib\w+|refer(?:ring|red)?|order(?:ing)?|arrang\w+|schedul\w+|book(?:ing)?|follow[- ]up|starting you|"
    r"putting you|giving you|let me (?:start|give|prescribe|refer|order|put))\b",
    re.IGNORECASE,
)
IMPERATIVE = re.compile(
    r"^(?:please|rest|drink|avoid|keep|use|take|come back|call|ring|go to|stop|continue|carry on|try|make sure|don't|do not|"
    r"return|start|increase|decrease|reduce|finish|eat|apply|wear|elevate|ice|monitor|watch|let (?:me|us) know|see you in)\b",
    re.IGNORECASE,
)
TREATED = (
    r"(?:dressed|bandaged|cleaned|irrigated|stitched|sutured|splinted|packed|changed|removed|inserted|drained|flushed)"
)
TREATED_THING = (
    r"(?:wound|cut|burn|ulcer|graze|dressing|bandage|stitches|sutures|staples|catheter|cannula|drain|splint|drip)"
)
DONE = re.compile(
    rf"^(?:I|we)(?:'ve| have) (?:just |now |already |also )*(?:{TREATED} (?:and {TREATED} )?(?:the|your) (?:\w+ )?{TREATED_THING}\b"
    r"|(?:given|injected|administered)\b.{0,60}?\b(?:injection|shot|dose|jab|vaccine|vaccination|infusion|fluids|oxygen|nebuli[sz]er"
    rf"|{MEDICINES})|put (?:an? |the |your ).{{0,30}}?\b(?:dressing|bandage|splint|sling|plaster|cast|catheter|cannula|drip)\b)"
    rf"|^(?:(?:the|your) )?(?:\w+ )?{TREATED_THING} (?:(?:has|have) (?:now |just )?been )?{TREATED}\b",
    re.IGNORECASE,
)
OPINION = re.compile(
    r"\b(?:I (?:don't |do not |also |still |really )?(?:think|suspect|believe)|I'm (?:worried|concerned|confident)|"
    r"(?:look|sound|seem)s? (?:like|to be)|probably|likely|consistent with|diagnos\w+|suggests?|(?:could|might|may) be|"
    r"appears? to|you(?:'ve got| have| do have| don't have)|this is|nothing serious)\b",
    re.IGNORECASE,
)
MEASURED = re.compile(
    r"\b(?:temperature|blood pressure|pulse|heart(?: rate)?|oxygen|saturations?|sats|weight|height|bmi|respiratory rate|"
    r"breathing|lungs?|chest|throat|tonsils?|ears?|eardrums?|abdomen|tummy|belly|stomach|liver|skin|rash|wound|swelling|"
    r"tenderness|murmur|crackles?|wheez\w*|redness|reflexes|strength|range of motion|x-?ray|ecg|ekg|scan|mri|ct|ultrasound|"
    r"bloods?|blood (?:test|count|sugar)|urine|glucose|haemoglobin|hemoglobin|results?|tests?|glands?|nodes?|pupils?|knee|"
    r"ankle|shoulder|hip|back|neck|wrist|elbow|foot|hand|leg|arm)\b.{0,80}?\b(?:is|are|was|were|shows?|showed|looks?|sounds?|"
    r"feels?|reads?|came back|has|have)\b",
    re.IGNORECASE,
)
OBSERVED = re.compile(
    r"^(?:I (?:can )?(?:also )?(?:hear|see|notice|feel(?= (?:an?|some|no)\b))|I (?:don't|do not|can't|cannot) (?:hear|see|feel any)|"
    r"you(?: have|'ve got) (?:an? |some |no )?(?:\w+ )?(?:temperature|blood pressure|pulse|heart rate|rash|wheeze|murmur|swelling|"
    r"tenderness|crackles)\b|"
    r"there(?:'s| is| are| isn't| aren't)|no (?:swelling|rash|redness|tenderness|crackles|wheez\w+|murmurs?|fever|bruising)\b)",
    re.IGNORECASE,
)
RELATIVE = re.compile(
    r"\b(?:mother|father|mum|mom|dad|brother|sister|son|daughter|wife|husband|partner|parents?|family|child|children)\b",
    re.IGNORECASE,
)
HEARSAY = re.compile(
    r"^I (?:can )?(?:hear|see|feel|notice) (?:that|you|your|from|what|how|why|like|it)\b", re.IGNORECASE
)


def section_of(statement: str) -> str | None:
    """`objective`, `assessment`, `plan`, or None. Advice wins over opinion, opinion over observation of the same words."""
    if EXAMINING.match(statement) or RETOLD.search(statement):
        return None
    if _is_advice(statement):
        return "plan"
    if CONDITION.match(statement) or RELATIVE.search(statement):
        return None
    if DONE.match(statement):
        return "plan"
    if OBSERVED.match(statement) and not HEARSAY.match(statement):
        return "objective"
    if OPINION.search(statement):
        return "assessment"
    return "objective" if MEASURED.search(statement) or NAMED_RESULT.search(statement) else None


def is_done(statement: str) -> bool:
    """Care that was given in the visit, and no advice in the same breath."""
    return bool(DONE.match(statement)) and not _is_advice(statement)


def _is_advice(statement: str) -> bool:
    return bool(MODAL.search(statement) or ACTION.search(statement)) or _is_instruction(statement)


def _is_instruction(statement: str) -> bool:
    return bool(IMPERATIVE.match(statement) or SAFETY_NET.match(statement))


def in_section(section: str, statement: str) -> str | None:
    """The statement as the section tells it; None when the rules are not sure and it must be quoted."""
    return {"objective": _finding, "assessment": _opinion, "plan": _next_step}[section](statement)


def _finding(statement: str) -> str | None:
    told = re.sub(r"^I (?:can )?(?:also )?(?:hear|see|feel|notice) ", "", statement, flags=re.IGNORECASE)
    told = re.sub(r"^I (?:don't|do not|can't|cannot) (?:hear|see|feel) any ", "no ", told, flags=re.IGNORECASE)
    told = re.sub(r"(^|\band )your\b ?", r"\1", told, flags=re.IGNORECASE)
    return doctor_in_note(re.sub(r"\byour\b", "the", told, flags=re.IGNORECASE))


def _opinion(statement: str) -> str | None:
    thing = re.match(
        r"I (?:think|suspect|believe) (?:that )?(?:you have|you've got|it's|it is|this is) (an? .+)$",
        statement,
        re.IGNORECASE,
    )
    if thing:
        told = doctor_in_note(thing[1])
        return f"impression: {told}" if told else None
    return doctor_in_note(statement)


def _next_step(statement: str) -> str | None:
    asked = re.sub(r"^please,? ", "", statement, flags=re.IGNORECASE)
    if asked == statement and not _is_instruction(statement):
        return doctor_in_note(statement)
    told = about_patient(asked)
    if told is None or re.search(r"\b(?:I|I'm|I'll|me|my|we|us|our)\b", told):
        return None
    return f"advised: {told[:1].lower()}{told[1:]}"
