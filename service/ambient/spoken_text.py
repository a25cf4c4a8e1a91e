"""What a request asked of the words beside hearing them: marks that were spoken, none at all, replacements.

The recogniser punctuates by itself. Spoken marks are English commands; "colon" and "dash" are not among them, since a
colon is also a part of the body, and "period" is one only where no stretch of time can be meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
_WORDS_OF_TIME = (
    "a the this that these her his my your our their each every any one no first last next same whole long short time "
    "menstrual monthly missed heavy light incubation recovery refractory observation waiting grace rest trial"
)
_OF_TIME = frozenset(_WORDS_OF_TIME.split())
_COMMAND = re.compile(rf"[\s,.;]*\b(?P<mark>{'|'.join(SPOKEN_MARKS)})\b(?P<heard>[,.;!?]*)\s*", re.IGNORECASE)
_MARK = re.compile(r"[.,;:?!…]+(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Wording:
    """What was asked. `replacements` are pairs: found in any letter case as whole words, written as given."""

    punctuation: Literal["automatic", "spoken", "none"] = "automatic"
    replacements: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> Wording:
        asked = options or {}
        replacements = tuple((find, text) for find, text in asked.get("replacements", ()))
        return cls(asked.get("punctuation", "automatic"), replacements)


def worded(segments: Iterable[Segment], wording: Wording) -> list[Segment]:
    """The same segments in the wording that was asked for; one without words left goes."""
    texts = ((segment, _text(segment.text, wording)) for segment in segments)
    return [segment if text == segment.text else replace(segment, text=text) for segment, text in texts if text]


def _text(text: str, wording: Wording) -> str:
    if wording.punctuation == "spoken":
        text = _with_spoken_marks(text)
    elif wording.punctuation == "none":
        text = _MARK.sub("", text).strip()
    return _replaced(text, wording.replacements) if wording.replacements else text


def _with_spoken_marks(text: str) -> str:
    """ "no fever comma no cough full stop" becomes "no fever, no cough."; a sentence after a mark begins with a capital."""
    written, place, ends_sentence = "", 0, False
    for command in _COMMAND.finditer(text):
        if command["mark"].lower() == "period" and not _ends_sentence(command):
            continue
        mark = SPOKEN_MARKS[command["mark"].lower()]
        written += _begun(text[place : command.start()], ends_sentence) + mark + ("" if mark.isspace() else " ")
        place, ends_sentence = command.end(), mark not in ",;"
    return (written + _begun(text[place:], ends_sentence)).strip(" ")


def _ends_sentence(command: re.Match[str]) -> bool:
    before, after = command.string[: command.start()].split(), command.string[command.end() :]
    if before and before[-1].lower().strip(".,;") in _OF_TIME:
        return False
    return bool(command["heard"]) or not after or after[0].isupper()


def _begun(text: str, sentence: bool) -> str:
    return text[:1].upper() + text[1:] if sentence else text


def _replaced(text: str, replacements: Sequence[tuple[str, str]]) -> str:
    """In one pass, the longest first, so that nothing written here is replaced again."""
    written = {find.casefold(): text for find, text in replacements}
    longest_first = sorted(written, key=len, reverse=True)
    found = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)
    return found.sub(lambda match: written.get(match[0].casefold(), match[0]), text)
