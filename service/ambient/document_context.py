"""What a document is written from: transcript segments, plain text or facts, all read as segments with ids."""

from __future__ import annotations

from collections.abc import Sequence

from service.ambient.errors import BAD_CONTEXT, ApiError
from service.ambient.ports import Segment
from service.ambient.schemas import Context, SpokenText, StringContext, TranscriptContext

_ROLES = frozenset({"doctor", "patient", "other"})


def context_segments(context: Sequence[Context]) -> list[Segment]:
    """A segment's id is its own where the transcript gave one, else `c` and its place.

    Raises ApiError 400: several objects are allowed only when all are transcripts, and an id may come once.
    """
    if len(context) > 1 and not all(isinstance(item, TranscriptContext) for item in context):
        raise ApiError(400, BAD_CONTEXT, "several context objects are allowed only when all are transcripts")
    spoken = [text for item in context for text in _texts(item)]
    segments = [_segment(place, text) for place, text in enumerate(spoken)]
    if len({segment.id for segment in segments}) != len(segments):
        raise ApiError(400, BAD_CONTEXT, "two segments of the context have the same id")
    return segments


def _texts(item: Context) -> list[SpokenText]:
    if isinstance(item, TranscriptContext):
        return [item.data]
    if isinstance(item, StringContext):
        return [SpokenText(text=line) for line in item.data.splitlines() if line.strip()]
    return [SpokenText(text=fact.text) for fact in item.data]


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
