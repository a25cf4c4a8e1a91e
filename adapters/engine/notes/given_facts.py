"""Facts that a caller has established stand in the note in the caller's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from adapters.engine.notes.statements import Statement
from adapters.engine.notes.utterances import storable
from service.ambient.ports import GivenFact

ENDED = re.compile(r"[.!?…][\"'”’)\]]*$")


def in_own_words(facts: Iterable[GivenFact]) -> Iterator[Statement]:
    """One for each fact that has words. Letters keep their case ("od", "pH"); lines become one, and a full stop ends it."""
    for fact in facts:
        if text := _in_one_line(fact.text).strip(" ,;"):
            told = text if ENDED.search(text) else text + "."
            yield Statement(fact.group, told, told, (fact.id,))


def _in_one_line(text: str) -> str:
    lines = [line for line in map(storable, text.splitlines()) if line]
    ends = [" " if line.endswith((".", ",", ";", ":", "!", "?", "…")) else "; " for line in lines]
    return "".join(line + end for line, end in zip(lines, ends, strict=True)).strip()
