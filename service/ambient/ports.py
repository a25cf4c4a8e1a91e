"""What the ambient API needs from outside: a place for audio, ears, and a writer.

`Transcriber` and `NoteWriter` are blocking; the ambient API calls them in threads, never on the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol


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


@dataclass(frozen=True, slots=True)
class AudioFacts:
    channels: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """`roles` maps a channel number to `doctor`, `patient` or `multiple`."""

    language: str
    multichannel: bool
    roles: dict[int, str]


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

    def probe(self, audio: Path) -> AudioFacts:
        """Looks at the container without decoding everything. Raises BadAudio (`empty`, `undecodable`)."""
        ...

    def transcribe(
        self, audio: Path, request: SpeechRequest, progress: Callable[[float], None], cancelled: Callable[[], bool]
    ) -> list[Segment]:
        """Segments in order of start; empty when nobody spoke. `progress` is told 0..1 as windows finish.

        Raises BadAudio (`empty`, `undecodable`). Returns early with what it has when `cancelled()` turns true.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a note and the ids of the transcript segments that it rests on (at least one)."""

    text: str
    evidence: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.evidence:
            raise ValueError("a sentence without evidence cannot be part of a note")


@dataclass(frozen=True, slots=True)
class SectionDraft:
    """What the writer found for one section of a template; no sentences when nothing was said about it."""

    key: str
    sentences: tuple[Sentence, ...]


class NoteWriter(Protocol):
    def sections(self) -> frozenset[str]:
        """The section keys that this writer can draft."""
        ...

    def write(self, section_keys: Sequence[str], segments: Sequence[Segment]) -> list[SectionDraft]:
        """One draft for each key, in the order given. Deterministic. Raises KeyError for a section it cannot draft."""
        ...


# --- what the ambient API remembers --------------------------------------------------------------------------------


def audio_key(recording: str) -> str:
    """Where a recording's audio is in Blobs."""
    return f"audio/{recording[:2]}/{recording}"


@dataclass(frozen=True, slots=True)
class Interaction:
    """`encounter` and `patient` are the wire's own objects; `patient` is empty when none was given."""

    id: str
    tenant: str
    assigned_user: str
    encounter: dict[str, Any]
    patient: dict[str, Any]
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class InteractionQuery:
    """`page` counts from 1. `sort` is a field of the wire: id, assignedUserId, patient, createdAt, endedAt, updatedAt."""

    patient: str | None = None
    statuses: tuple[str, ...] = ()
    sort: str = "createdAt"
    descending: bool = True
    page_size: int = 10
    page: int = 1


@dataclass(frozen=True, slots=True)
class StoredRecording:
    id: str
    interaction_id: str
    content_type: str | None
    size: int
    sha256: str
    channels: int
    duration_ms: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredTranscript:
    """`participants` are the wire's `{channel, role}` objects, None when none were given. `progress` is 0..1."""

    id: str
    interaction_id: str
    recording_id: str
    language: str
    multichannel: bool
    participants: tuple[dict[str, Any], ...] | None
    created_at: datetime
    status: Literal["queued", "processing", "completed", "failed"] = "queued"
    progress: float = 0.0
    reason: str | None = None
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A transcript leased to `owner` (a name used for this one claim). `attempt` counts claims that were not released."""

    transcript: StoredTranscript
    owner: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """`sections` are the wire's own objects, evidence included."""

    id: str
    interaction_id: str
    name: str
    template: str
    language: str
    sections: tuple[dict[str, Any], ...]
    created_at: datetime
    updated_at: datetime


class TranscriptQueue(Protocol):
    """Leased work. Leases run on the database's clock; a write of an owner whose lease was taken over changes nothing."""

    async def claim_transcript(self, owner: str, lease_seconds: float) -> Claim | None:
        """The oldest transcript that is queued, or whose lease has run out."""
        ...

    async def keep_transcript(self, claim: Claim, progress: float, lease_seconds: float) -> bool:
        """Renews the lease. False: another owner has it, or it was deleted."""
        ...

    async def release_transcript(self, claim: Claim) -> None:
        """Gives it back to the queue as if it had not been claimed."""
        ...

    async def complete_transcript(self, claim: Claim, segments: Sequence[Segment]) -> bool: ...

    async def fail_transcript(self, claim: Claim, reason: str) -> bool: ...


class AmbientStore(TranscriptQueue, Protocol):
    """Interactions belong to a tenant; everything else belongs to an interaction and is deleted with it."""

    async def add_interaction(self, interaction: Interaction) -> None: ...

    async def list_interactions(self, tenant: str, query: InteractionQuery) -> list[Interaction]: ...

    async def get_interaction(self, tenant: str, interaction: str) -> Interaction | None: ...

    async def delete_interaction(self, tenant: str, interaction: str) -> list[str] | None:
        """The ids of the recordings that went with it; None when there is no such interaction."""
        ...

    async def add_recording(self, recording: StoredRecording) -> bool:
        """False when the interaction is gone. The same holds for `add_transcript` and `add_document`."""
        ...

    async def list_recordings(self, interaction: str) -> list[str]:
        """Ids, oldest first."""
        ...

    async def get_recording(self, interaction: str, recording: str) -> StoredRecording | None: ...

    async def delete_recording(self, interaction: str, recording: str) -> bool: ...

    async def add_transcript(self, transcript: StoredTranscript) -> bool: ...

    async def list_transcripts(self, interaction: str) -> list[StoredTranscript]: ...

    async def get_transcript(self, interaction: str, transcript: str) -> StoredTranscript | None: ...

    async def delete_transcript(self, interaction: str, transcript: str) -> bool: ...

    async def add_document(self, document: StoredDocument) -> bool: ...

    async def list_documents(self, interaction: str) -> list[StoredDocument]: ...

    async def get_document(self, interaction: str, document: str) -> StoredDocument | None: ...

    async def delete_document(self, interaction: str, document: str) -> bool: ...
