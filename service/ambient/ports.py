"""What the ambient API needs from outside: a place for audio, ears, and a writer.

`Transcriber` and `NoteWriter` are blocking; the ambient API calls them in threads, never on the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """`size` in bytes, `sha256` in lower-case hex."""

    size: int
    sha256: str


class TooLarge(Exception):
    """More bytes than the limit; nothing was kept."""


class Blobs(Protocol):
    """Audio at rest. Keys are slash-separated names that this project makes."""

    async def write(self, key: str, chunks: AsyncIterator[bytes], limit: int) -> StoredBlob:
        """Streams to storage; visible only once complete. Raises TooLarge beyond `limit` bytes."""
        ...

    def read(self, key: str) -> AsyncIterator[bytes]:
        """The bytes in chunks. Raises FileNotFoundError."""
        ...

    def as_file(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The blob as a file on this machine, for decoders. Raises FileNotFoundError."""
        ...

    async def delete(self, key: str) -> None:
        """Deletes; a key that does not exist is fine."""
        ...

    async def discard_unfinished(self, prefix: str, older_than: float) -> None:
        """Removes what killed uploads left under `prefix` and nothing was added to for `older_than` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class AudioFacts:
    channels: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """`roles` maps a channel number to `doctor`, `patient` or `multiple`; `keyterms` are words to expect."""

    language: str
    multichannel: bool
    roles: dict[int, str]
    keyterms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of one speaker's speech. Times in milliseconds from the start of the recording.

    `id` is unique within its transcript; `role` is `doctor`, `patient`, `other` or `unknown`.
    """

    id: str
    channel: int
    participant: int
    speaker_id: int
    text: str
    start: int
    end: int
    role: str = "unknown"


class Transcriber(Protocol):
    def supports(self, language: str) -> bool:
        """Whether the model understands this BCP 47 language."""
        ...

    def probe(self, audio: Path, longest: float) -> AudioFacts:
        """Measures without decoding everything; what a header says of the length is not believed.

        Raises BadAudio: `empty`, `undecodable`, `too_long` beyond `longest` seconds.
        """
        ...

    def transcribe(
        self, audio: Path, request: SpeechRequest, progress: Callable[[float], None], cancelled: Callable[[], bool]
    ) -> list[Segment]:
        """Segments in order of start; empty when nobody spoke. `progress` is told 0..1 as windows finish.

        Raises BadAudio (`empty`, `undecodable`). Returns early with what it has when `cancelled()` turns true.
        """
        ...


@dataclass(frozen=True, slots=True)
class GivenFact:
    """What a caller has established: it goes into the note in its own words.

    `id` is unique among all that the writer is given; `group` is a key of `fact_groups.py`.
    """

    id: str
    text: str
    group: str


@dataclass(frozen=True, slots=True)
class SectionBrief:
    """What a section asks of the writer: what was said that belongs to these fact groups, in this wording.

    `clinical` is for the record; `plain` addresses the patient.
    """

    key: str
    groups: tuple[str, ...]
    wording: Literal["clinical", "plain"] = "clinical"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a note and the ids of the transcript segments or given facts that it rests on (at least one)."""

    text: str
    evidence: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.evidence:
            raise ValueError("a sentence without evidence cannot be part of a note")


@dataclass(frozen=True, slots=True)
class SectionDraft:
    """What the writer found for one section; no sentences when nothing was said about it."""

    key: str
    sentences: tuple[Sentence, ...]


class NoteWriter(Protocol):
    def write(
        self, briefs: Sequence[SectionBrief], segments: Sequence[Segment], facts: Sequence[GivenFact] = ()
    ) -> list[SectionDraft]:
        """One draft for each brief, in the order given. Deterministic."""
        ...


def audio_key(recording: str) -> str:
    """Where a recording's audio is in Blobs."""
    return f"audio/{recording[:2]}/{recording}"
