"""Facts that a caller has established stand in the note in the caller's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from adapters.engine.notes.statements import Statement
from adapters.engine.notes.utterances import storable
from service.ambient.ports import GivenFact

# an ordinary word: not "pH", "eGFR", "mg" or "i.v."; nor "von" before a name
ORDINARY_WORD = re.compile(r"(?!(?:van|von|de|di|du|la|le) [^\W\d_a-z])(?=[a-z]*[aeiouy])[a-z]+(?=[\s,;:.!?]*(?:\s|$))")
ENDED = re.compile(r"[.!?…][\"'”’)\]]*$")


def in_own_words(facts: Iterable[GivenFact]) -> Iterator[Statement]:
    """One for each fact that has words."""
    for fact in facts:
        if text := storable(fact.text).strip(" ,;"):
            told = _as_sentence(text)
            yield Statement(fact.group, told, told, (fact.id,))


def _as_sentence(text: str) -> str:
    """Begins with a capital where that cannot change a term, and ends with a full stop."""
    if ORDINARY_WORD.match(text):
        text = text[0].upper() + text[1:]
    return text if ENDED.search(text) else text + "."
