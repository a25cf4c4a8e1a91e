"""The two engine ports as small classes that say what the test scripted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from service.ambient.ports import AudioFacts, SectionDraft, Segment, Sentence, SpeechRequest
from service.errors import BadAudio

AUDIO = b"AUDIO" + bytes(range(256)) * 40

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

    def probe(self, audio: Path) -> AudioFacts:
        if not audio.read_bytes().startswith(b"AUDIO"):
            raise BadAudio("undecodable")
        return AudioFacts(channels=2, duration_ms=74_570)

    def transcribe(
        self, audio: Path, request: SpeechRequest, progress: Callable[[float], None], cancelled: Callable[[], bool]
    ) -> list[Segment]:
        self.requests.append(request)
        assert audio.read_bytes().startswith(b"AUDIO")
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
    """Quotes the patient as subjective and the doctor as plan, and finds nothing for the other sections."""

    SPEAKS = {"corti-subjective": ("patient", "unknown"), "corti-plan": ("doctor",)}  # noqa: RUF012

    def sections(self) -> frozenset[str]:
        return frozenset({"corti-subjective", "corti-objective", "corti-assessment", "corti-plan"})

    def write(self, section_keys: Sequence[str], segments: Sequence[Segment]) -> list[SectionDraft]:
        return [SectionDraft(key, self._sentences(key, segments)) for key in section_keys]

    def _sentences(self, key: str, segments: Sequence[Segment]) -> tuple[Sentence, ...]:
        roles = self.SPEAKS.get(key, ())
        return tuple(Sentence(segment.text, (segment.id,)) for segment in segments if segment.role in roles)
