"""Segments become utterances: one cleaned sentence each, with its speaker and the segment that it came from.

Only what carries no meaning is taken away: greetings, hesitations, stutters. Hedges ("a bit", "kind of") and words of
laterality or negation stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from service.ambient.ports import Segment


@dataclass(frozen=True, slots=True)
class Utterance:
    """`speaker` is `doctor`, `patient` or `unknown`; `segment` the id of the segment that holds the words.

    `spoken` is the sentence with its "oh" and "well", which `text` may lack. `is_long`: no rule reads it.
    """

    text: str
    spoken: str
    speaker: str
    segment: str
    is_question: bool

    @property
    def is_long(self) -> bool:
        return len(self.spoken) > LONGEST_READ

    @property
    def is_greeting(self) -> bool:
        """Courtesies, but no reply: "No." after a question says a great deal."""
        return not self.is_long and self.text.casefold().strip(" .,!") in GREETINGS


LONGEST_READ = 1000
"""In characters: a longer sentence is quoted as it is, for the rules would hold up every other thread."""
GREETINGS = frozenset(
    ("good morning", "good afternoon", "good evening", "hello", "hi", "hi doctor", "thank you", "thanks")
)

ABBREVIATION = re.compile(r"(?:^|\s)(?:mrs?|ms|dr|prof|st|vs|e\.g|i\.e)\.$", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.?!…])\s+")

HESITATION = re.compile(r"(?:(?:^|(?<=\s))(?:[Uu]m+|[Uu]h+|[Ee]rm+|[Hh]mm+|er(?=,))\b(?!-)[,.…]*\s*)+")
ASIDE = re.compile(r",\s*(?:you know|I mean)\s*,", re.IGNORECASE)
STUTTER = re.compile(r"\b(I'm|I've|I|the|an|a|and|my|to|of|in|it's|it|is|you|your|we)(?:,? \1\b(?!'))+", re.IGNORECASE)
CLAUSE_START = (
    r"(?:so|okay|i|i'm|i've|i'll|you|your|you're|we|we'll|the|my|it|it's|let|let's|this|that|that's|there|there's|how|what|"
    r"do|are|have|any|when|is|did|can|because|since)\b"
)
# "right", "well" and "good" are also answers, and "right" a side: they go only where a new clause follows
OPENING = re.compile(
    r"^(?:(?:so|and|okay|ok|all right|oh|ah|of course|actually|i see|got it|you know|i mean|good (?:morning|afternoon|evening)|"
    r"hello|hi|hey|thank you(?: very much| so much)?|thanks|doctor|mrs?\.? [a-z]+)\s*[,.!]+\s*"
    rf"|(?:right|alright|well|now|then|great|good|perfect|sure)\s*[,.!]+\s*(?={CLAUSE_START})"
    r"|(?:and|okay|ok|alright)\s+(?=\w)"
    rf"|so\s+(?={CLAUSE_START}))+",
    re.IGNORECASE,
)

ASKS_WITHOUT_MARK = re.compile(r"^(?:(?:do|did|are|have|were) you\b|any\b[^,.!?]{2,40}\.?$)", re.IGNORECASE)

SUBORDINATE = re.compile(
    r"\b(?:because|if|when|while|since|as|although|though|unless|once|until|after|before)\b", re.IGNORECASE
)
RUN_ON = re.compile(
    r",\s+(?=(?:let me|let's|thank you)\b|your (?:\w+ ){1,3}(?:is|are|was|were)\b|I (?:can )?(?:hear|see)\b)"
    r"|(?<=[%\d])\s+(?=I\b)",
    re.IGNORECASE,
)

COURTESY = re.compile(
    r"^(?:(?:good (?:morning|afternoon|evening)|hello|hi|hey|bye|goodbye|thank you|thanks(?! to)|you're welcome|nice to (?:see|meet)|"
    r"good to see|take care(?! (?:of|when|with|not))|have a (?:good|great|nice|lovely)|come (?:on )?in|(?:please )?(?:have|take) a seat|"
    r"i'm (?:doctor|dr)|my name is|let me(?! (?:know|start|give|prescribe|refer|order|put))|let's see|i'll (?:just )?be right back|"
    r"i think that's (?:all|it|everything)|(?:if|do) you have any (?:other )?questions|any (?:other )?questions|"
    r"is that (?:okay|ok|all right|alright)|does that (?:make sense|sound)|how does that sound|are you (?:okay|ok|happy) with that)\b"
    r"|(?:that's (?:all|it|everything|fine|good|great|okay|ok)(?: for (?:today|now))?|sorry|excuse me|no (?:problem|worries)|"
    r"see you(?: later| soon| then)?|how are you(?: doing)?(?: today)?|sounds (?:good|like a plan)|makes sense|"
    r"i (?:do|am|have|did) not|okay|ok|alright|all right|right)\W*$)",
    re.IGNORECASE,
)
COURTESIES_AND_REPLIES = (
    "yes yeah yep no nope don't haven't didn't okay ok right sure thanks thank you doctor please great good fine perfect oh ah um uh hmm "
    "mm mhm alright all i do am have see did it is does that's correct exactly of course lovely wonderful bye hello hi so and but"
)
EMPTY_WORDS = frozenset(COURTESIES_AND_REPLIES.split())
EGGING_ON = frozenset(("go", "on", "got", "hm", "huh", "really", "understand", "sorry"))


def utterances_of(segments: Iterable[Segment]) -> Iterator[Utterance]:
    """Every sentence that may matter, in the order given (several recordings each begin at 0). Answers keep their leading yes or no."""
    for segment in segments:
        speaker = segment.role if segment.role in ("doctor", "patient") else "unknown"
        for spoken in _sentences_in(segment.text, speaker):
            if text := _cleaned(spoken):
                yield Utterance(text, spoken, speaker, segment.id, _is_question(text, speaker))


def _sentences_in(text: str, speaker: str) -> list[str]:
    """A line ends a sentence: in a transcript without punctuation nothing else does."""
    lines = filter(None, map(storable, text.replace("’", "'").splitlines()))
    return [part for line in lines for sentence in _split(line) for part in _run_ons(sentence, speaker)]


def is_small_talk(text: str) -> bool:
    """Greetings, courtesies and bare replies: nothing that a note needs."""
    if len(text) > LONGEST_READ:
        return False
    words = re.findall(r"[\w']+", text.casefold())
    return not words or all(word in EMPTY_WORDS for word in words) or bool(COURTESY.match(text))


def is_interjection(text: str) -> bool:
    """ "I see", "mm-hm", "go on?": no content, whoever says it."""
    words = re.findall(r"[\w']+", text.casefold()) if len(text) <= LONGEST_READ else []
    return bool(words) and all(word in EMPTY_WORDS or word in EGGING_ON for word in words)


def storable(text: str) -> str:
    """In one line, without control characters and lone surrogates, which no document may hold."""
    kept = ("" if unicodedata.category(c) == "Cs" else " " if unicodedata.category(c) == "Cc" else c for c in text)
    return " ".join("".join(kept).split())


def _split(text: str) -> list[str]:
    sentences: list[list[str]] = []
    for part in SENTENCE_END.split(text):
        if sentences and ABBREVIATION.search(sentences[-1][-1]):
            sentences[-1].append(part)
        else:
            sentences.append([part])
    return [" ".join(parts) for parts in sentences]


def _run_ons(sentence: str, speaker: str) -> list[str]:
    """A doctor's sentences that the recogniser strung together with commas; never parting an "if" from its "then"."""
    if speaker != "doctor" or len(sentence) > LONGEST_READ or SUBORDINATE.search(sentence):
        return [sentence]
    return RUN_ON.split(sentence)


def _cleaned(sentence: str) -> str:
    if len(sentence) > LONGEST_READ:
        return sentence.strip(" ,;")
    text = HESITATION.sub("", sentence)
    text = ASIDE.sub(",", text)
    text = STUTTER.sub(r"\1", text)
    # a lone "Right." or "Okay." is kept here: it may be the answer to a question
    return (OPENING.sub("", text) or text).strip(" ,;")


def _is_question(text: str, speaker: str) -> bool:
    if len(text) > LONGEST_READ:
        return speaker == "doctor" and text.endswith("?")
    return text.endswith("?") or (speaker == "doctor" and bool(ASKS_WITHOUT_MARK.match(text)))
