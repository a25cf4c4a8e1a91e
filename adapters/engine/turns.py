"""Recognised words become segments: a sentence or two of one speaker, so that a note can point to where it was said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from service.ambient.ports import Segment

LONGEST_PAUSE = 2.0
LONGEST_SEGMENT = 25.0
ROOM_FOR_A_REPLY = 0.5
SHORT_SENTENCE = 4

NO_DIARISATION = -1
ENDS_SENTENCE = re.compile(r"[.?!…][\"'”’)]*$")
ABBREVIATION = re.compile(r"^(?:mrs?|ms|dr|prof|st|no|vs|e\.g|i\.e|[a-z])\.$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Voice:
    """Who is heard on a channel. Without speaker detection the wire's `speakerId` is -1 and `participant` 0."""

    channel: int
    participant: int
    speaker_id: int
    role: str


@dataclass(frozen=True, slots=True)
class Word:
    """`text` carries its punctuation, and the space before it if there was one. Times in seconds from the start of the recording."""

    start: float
    end: float
    text: str
    voice: Voice


def voice_of_channel(channel: int, roles: Mapping[int, str]) -> Voice:
    return Voice(channel, channel, channel, _role(roles.get(channel)))


def voice_of_mix(roles: Mapping[int, str]) -> Voice:
    """A mix has a role only when the request knows of a single speaker: a dictation."""
    return Voice(0, 0, NO_DIARISATION, _role(roles.get(0)) if len(roles) == 1 else "unknown")


def segments_of(words: Iterable[Word]) -> list[Segment]:
    """Segments in order of start, numbered `s0`, `s1`, …"""
    ordered = sorted(words, key=lambda word: (word.start, word.voice.channel))
    stretches = [stretch for voice in _voices(ordered) for stretch in _stretches(voice, ordered)]
    stretches.sort(key=lambda stretch: (stretch[0].start, stretch[0].voice.channel))
    return [_segment(f"s{number}", stretch) for number, stretch in enumerate(stretches)]


def _role(asked: str | None) -> str:
    return asked if asked in ("doctor", "patient", "other") else "unknown"


def _voices(words: Sequence[Word]) -> list[Voice]:
    return list(dict.fromkeys(word.voice for word in words))


def _stretches(voice: Voice, words: Sequence[Word]) -> list[list[Word]]:
    own = [word for word in words if word.voice == voice]
    others = [word.start for word in words if word.voice != voice]
    stretches = [own[:1]]
    for before, after in pairwise(own):
        if _breaks(stretches[-1], before, after, others):
            stretches.append([])
        stretches[-1].append(after)
    return stretches


def _breaks(stretch: Sequence[Word], before: Word, after: Word, others: Sequence[float]) -> bool:
    pause = after.start - before.end
    if pause > LONGEST_PAUSE or after.end - stretch[0].start > LONGEST_SEGMENT:
        return True
    if pause > ROOM_FOR_A_REPLY and any(before.end <= start < after.start for start in others):
        return True
    # a greeting or a "Yes." stays with what follows it
    return _ends_sentence(before.text.strip()) and len(stretch) >= SHORT_SENTENCE


def _ends_sentence(word: str) -> bool:
    return bool(ENDS_SENTENCE.search(word)) and not ABBREVIATION.match(word)


def _segment(name: str, stretch: Sequence[Word]) -> Segment:
    voice = stretch[0].voice
    start, end = round(stretch[0].start * 1000), round(max(word.end for word in stretch) * 1000)
    text = "".join(word.text for word in stretch).strip()
    return Segment(name, voice.channel, voice.participant, voice.speaker_id, text, start, max(start, end), voice.role)
