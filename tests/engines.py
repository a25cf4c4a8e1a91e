"""The two engine ports as small classes that say what the test scripted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from service.ambient.ports import (
    AudioFacts,
    GivenFact,
    SectionBrief,
    SectionDraft,
    Segment,
    Sentence,
    SpeechRequest,
)
from service.errors import BadAudio

AUDIO = b"OggS" + bytes(range(256)) * 40

CONSULTATION = (
    Segment("s0", 0, 0, 0, "What brings you in today?", 600, 5000, "doctor"),
    Segment("s1", 1, 1, 0, "I have had a cough for ten days.", 5300, 11560, "patient"),
    Segment("s2", 0, 0, 0, "I will start amoxicillin.", 12100, 13280, "doctor"),
)


class ScriptedTranscriber:
    """Hears `segments` in anything that begins with AUDIO. `go` holds it back until set; `failure` is raised."""

    def __init__(self, segments: Sequence[Segment] = CONSULTATION, failure: Exception | None = None) -> None:
        self.segments = segments
        self.failure = failure
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.requests: list[SpeechRequest] = []
        self.cancelled = False

    def supports(self, language: str) -> bool:
        return language == "en"

    def probe(self, audio: Path, longest: float) -> AudioFacts:
        if not audio.read_bytes().startswith(AUDIO[:100]):
            raise BadAudio("undecodable")
        if longest < 74.570:
            raise BadAudio("too_long")
        return AudioFacts(channels=2, duration_ms=74_570)

    def transcribe(
        self, audio: Path, request: SpeechRequest, progress: Callable[[float], None], cancelled: Callable[[], bool]
    ) -> list[Segment]:
        self.requests.append(request)
        assert audio.read_bytes().startswith(AUDIO[:100])
        progress(0.5)
        self.begun.set()
        while not self.go.wait(0.02):
            if cancelled():
                self.cancelled = True
                return []
        if self.failure:
            raise self.failure
        progress(1.0)
        return list(self.segments)


class QuotingWriter:
    """Quotes the patient (and anybody unknown) as history of the present illness, the doctor as plan, and given facts by group."""

    SAID = {"history-of-present-illness": ("patient", "unknown"), "plan": ("doctor",)}  # noqa: RUF012

    def write(
        self, briefs: Sequence[SectionBrief], segments: Sequence[Segment], facts: Sequence[GivenFact] = ()
    ) -> list[SectionDraft]:
        return [SectionDraft(brief.key, self._sentences(brief, segments, facts)) for brief in briefs]

    def _sentences(
        self, brief: SectionBrief, segments: Sequence[Segment], facts: Sequence[GivenFact]
    ) -> tuple[Sentence, ...]:
        roles = {role for group in brief.groups for role in self.SAID.get(group, ())}
        said = [Sentence(segment.text, (segment.id,)) for segment in segments if segment.role in roles]
        return (*said, *(Sentence(fact.text, (fact.id,)) for fact in facts if fact.group in brief.groups))
