"""What a document is written from: transcript segments, plain text read as segments, or given facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from service.ambient.errors import BAD_CONTEXT, LIMIT_REACHED, ApiError
from service.ambient.fact_groups import group_key
from service.ambient.ports import GivenFact, Segment
from service.ambient.wire.documents import Context, FactsContext, FactText, SpokenText, StringContext, TranscriptContext

MOST_CHARACTERS = 500_000
"""Some ten hours of speech. What is written from cannot be interrupted, so it must have an end."""

MOST_ITEMS = 10_000
"""Segments, lines or facts."""

_ROLES = frozenset({"doctor", "patient", "other"})


Item = TypeVar("Item", SpokenText, FactText)


@dataclass(frozen=True, slots=True)
class Material:
    """Ids are unique among segments and facts."""

    segments: tuple[Segment, ...] = ()
    facts: tuple[GivenFact, ...] = ()


def material_of(context: Sequence[Context]) -> Material:
    """A segment's id is its own where the transcript gave one, else `c` and its place; a fact's is `c` and its place.

    Raises ApiError 400: several objects are allowed only when all are transcripts, and there are limits.
    """
    if len(context) > 1 and not all(isinstance(item, TranscriptContext) for item in context):
        raise ApiError(400, BAD_CONTEXT, "several context objects are allowed only when all are transcripts")
    if isinstance(context[0], FactsContext):
        given = _limited(context[0].data)
        return Material(facts=tuple(_fact(place, fact) for place, fact in enumerate(given)))
    if isinstance(context[0], StringContext):
        return Material(segments=lines_of([context[0].data]))
    spoken = _limited(item.data for item in context if isinstance(item, TranscriptContext))
    return Material(segments=_named_apart([_segment(place, text) for place, text in enumerate(spoken)]))


def _named_apart(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Ids are unique within one transcript; where the segments of several repeat them, all go by their places."""
    if len({segment.id for segment in segments}) == len(segments):
        return tuple(segments)
    return tuple(replace(segment, id=f"c{place}") for place, segment in enumerate(segments))


def lines_of(texts: Iterable[str]) -> tuple[Segment, ...]:
    """Each line as a segment of nobody's; its id is `c` and its place. Raises ApiError 400 beyond the limits."""
    lines = (SpokenText(text=line) for text in texts for line in text.splitlines() if line.strip())
    return tuple(_segment(place, line) for place, line in enumerate(_limited(lines)))


def _limited(items: Iterable[Item]) -> list[Item]:
    found = list(islice(items, MOST_ITEMS + 1))
    if len(found) > MOST_ITEMS or sum(len(item.text) for item in found) > MOST_CHARACTERS:
        limits = f"{MOST_ITEMS} segments, lines or facts and {MOST_CHARACTERS} characters"
        raise ApiError(400, LIMIT_REACHED, f"the context has more than {limits}")
    return found


def _fact(place: int, fact: FactText) -> GivenFact:
    return GivenFact(id=f"c{place}", text=fact.text, group=group_key(fact.group or "") or "other")


def _segment(place: int, spoken: SpokenText) -> Segment:
    return Segment(
        id=spoken.id or f"c{place}",
        channel=spoken.channel or 0,
        participant=spoken.participant or 0,
        speaker_id=-1 if spoken.speaker_id is None else spoken.speaker_id,
        text=spoken.text,
        start=spoken.start or 0,
        end=spoken.end or 0,
        role=spoken.role if spoken.role in _ROLES and spoken.role else "unknown",
    )
