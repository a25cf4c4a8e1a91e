"""What a request asked of the words beside hearing them: marks that were spoken, none at all, replacements.

The recogniser punctuates by itself. Spoken marks are English commands, and words of medicine too: a new line is also put
into a vein, and a period is a time. So a mark counts only where nothing else can be meant, and "colon" and "dash" never do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from service.ambient.ports import Segment

SPOKEN_MARKS = {
    "full stop": ".",
    "period": ".",
    "comma": ",",
    "question mark": "?",
    "exclamation mark": "!",
    "exclamation point": "!",
    "semicolon": ";",
    "new line": "\n",
    "new paragraph": "\n\n",
}
_WORDS_BEFORE_A_THING = (
    "a an the this that these those her his my your our their its each every any first last next same another some old "
    "placed inserted"
)
_BEFORE_A_THING = frozenset(_WORDS_BEFORE_A_THING.split())
_AFTER_A_THING = re.compile(
    r"(?:was|is|were|are|has|had|have|will|can|of|in|into|to|for|from|at|on|with|over|and|or|placed|inserted|after|before)\b",
    re.IGNORECASE,
)
_THINGS = ("new line", "full stop")
_COMMAND = re.compile(
    rf"(?P<apart>[,.;]?)\s*\b(?P<mark>{'|'.join(SPOKEN_MARKS)})\b(?P<heard>[,.;!?]*)\s*", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.?!…]+(?:\s+|$)")
_MARK = re.compile(r"[,;:]+(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Wording:
    """What was asked. `replacements` are found in any letter case (keys are casefolded) as whole words, written as given."""

    punctuation: Literal["automatic", "spoken", "none"] = "automatic"
    replacements: Mapping[str, str] = field(default_factory=dict)
    found: re.Pattern[str] | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> Wording:
        asked = options or {}
        return cls.asked(asked.get("punctuation", "automatic"), asked.get("replacements", ()))

    @classmethod
    def asked(
        cls, punctuation: Literal["automatic", "spoken", "none"], replacements: Iterable[Sequence[str]] = ()
    ) -> Wording:
        """`replacements` are pairs of what is found and what is written."""
        written = {find.casefold(): text for find, text in replacements}
        longest_first = "|".join(re.escape(find) for find in sorted(written, key=len, reverse=True))
        found = re.compile(rf"(?<!\w)(?:{longest_first})(?!\w)", re.IGNORECASE) if written else None
        return cls(punctuation, written, found)


def worded(segments: Iterable[Segment], wording: Wording) -> list[Segment]:
    """The same segments in the wording that was asked for; one without words left goes. For a thread: it may take seconds."""
    texts = ((segment, _text(segment.text, wording)) for segment in segments)
    return [segment if text == segment.text else replace(segment, text=text) for segment, text in texts if text]


def _text(text: str, wording: Wording) -> str:
    if wording.punctuation == "spoken":
        text = _with_spoken_marks(text)
    elif wording.punctuation == "none":
        text = _without_marks(text)
    return _replaced(text, wording)


def _without_marks(text: str) -> str:
    """A sentence ends with its line: run together, "Fever? No. Cough." would deny the cough."""
    return _MARK.sub("", _SENTENCE_END.sub("\n", text)).strip()


def _with_spoken_marks(text: str) -> str:
    """ "no fever comma no cough full stop" becomes "no fever, no cough."; a sentence after a mark begins with a capital."""
    written, place, ends_sentence = "", 0, False
    for command in _COMMAND.finditer(text):
        if not _can_be_nothing_else(command):
            continue
        mark = SPOKEN_MARKS[command["mark"].lower()]
        written += _begun(text[place : command.start()], ends_sentence) + mark + ("" if mark.isspace() else " ")
        place, ends_sentence = command.end(), mark not in ",;"
    return (written + _begun(text[place:], ends_sentence)).strip(" ")


def _can_be_nothing_else(command: re.Match[str]) -> bool:
    """With nothing around it that would make it a thing; a period only where the recogniser set it apart."""
    mark = command["mark"].lower()
    if mark in _THINGS and not command["heard"] and _AFTER_A_THING.match(command.string, command.end()):
        return False
    if command["apart"] or mark == "period":
        return bool(command["apart"])
    before = command.string[: command.start()].split()[-1:]
    return not before or before[0].lower() not in _BEFORE_A_THING


def _begun(text: str, sentence: bool) -> str:
    return text[:1].upper() + text[1:] if sentence else text


def _replaced(text: str, wording: Wording) -> str:
    """In one pass, the longest first, so that nothing written here is replaced again."""
    if wording.found is None:
        return text
    return wording.found.sub(lambda match: wording.replacements.get(match[0].casefold(), match[0]), text)
