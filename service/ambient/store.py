"""What the ambient API remembers: its rows, and the store that the database gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from service.ambient.ports import Segment


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
    """`participants` are the wire's `{channel, role}` objects, None when none were given. `progress` is 0..1.

    `options` are what the wire asked beside them: see `spoken_text.py`.
    """

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
    options: dict[str, Any] | None = None


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


@dataclass(frozen=True, slots=True)
class StoredFact:
    """`group` is a key of `fact_groups.py`; `source` is the wire's `core`, `system` or `user`."""

    id: str
    interaction_id: str
    text: str
    group: str
    source: str
    discarded: bool
    created_at: datetime
    updated_at: datetime


class DuplicateIdentifier(Exception):
    """Another interaction of the tenant has this `encounter.identifier`."""


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

    async def release_all_transcripts(self) -> None:
        """Gives back what is claimed by whomever: for the start of the only process that has recognisers."""
        ...

    async def complete_transcript(self, claim: Claim, segments: Sequence[Segment]) -> bool: ...

    async def fail_transcript(self, claim: Claim, reason: str) -> bool: ...


class AmbientStore(TranscriptQueue, Protocol):
    """Interactions belong to a tenant; everything else belongs to an interaction and is deleted with it."""

    async def add_interaction(self, interaction: Interaction) -> None:
        """Raises DuplicateIdentifier."""
        ...

    async def change_interaction(
        self, tenant: str, interaction: str, change: Callable[[Interaction], Interaction]
    ) -> Interaction | None:
        """`change` sees the row as nobody else can change it meanwhile. Raises DuplicateIdentifier; None: unknown."""
        ...

    async def list_interactions(self, tenant: str, query: InteractionQuery) -> list[Interaction]: ...

    async def get_interaction(self, tenant: str, interaction: str) -> Interaction | None: ...

    async def delete_interaction(self, tenant: str, interaction: str) -> list[str] | None:
        """The ids of the recordings that went with it; None when there is no such interaction."""
        ...

    async def add_recording(self, recording: StoredRecording) -> bool:
        """Ends its upload in the same commit. False when that was given up, or the interaction is gone."""
        ...

    async def list_recordings(self, interaction: str) -> list[str]:
        """Ids, oldest first."""
        ...

    async def get_recording(self, interaction: str, recording: str) -> StoredRecording | None: ...

    async def delete_recording(self, interaction: str, recording: str) -> bool: ...

    async def begin_upload(self, recording: str) -> None:
        """Before its audio is kept: what a killed process leaves behind can be found again."""
        ...

    async def end_upload(self, recording: str) -> None:
        """Nothing of it is kept any more."""
        ...

    async def abandoned_uploads(self, older_than: float) -> list[str]:
        """Gives up the uploads that were begun more than `older_than` seconds ago, and names all that were given up."""
        ...

    async def add_transcript(self, transcript: StoredTranscript) -> bool:
        """False when the interaction is gone; so for `add_document`."""
        ...

    async def list_transcripts(self, interaction: str) -> list[StoredTranscript]: ...

    async def get_transcript(self, interaction: str, transcript: str) -> StoredTranscript | None: ...

    async def delete_transcript(self, interaction: str, transcript: str) -> bool: ...

    async def add_document(self, document: StoredDocument) -> bool: ...

    async def list_documents(self, interaction: str) -> list[StoredDocument]: ...

    async def get_document(self, interaction: str, document: str) -> StoredDocument | None: ...

    async def change_document(
        self, interaction: str, document: str, change: Callable[[StoredDocument], StoredDocument]
    ) -> StoredDocument | None:
        """As `change_interaction`."""
        ...

    async def delete_document(self, interaction: str, document: str) -> bool: ...

    async def add_facts(self, facts: Sequence[StoredFact]) -> bool:
        """All or none; False when the interaction is gone."""
        ...

    async def list_facts(self, interaction: str) -> list[StoredFact]:
        """Oldest first, those of one request in its order."""
        ...

    async def change_facts(
        self, interaction: str, changes: Mapping[str, Callable[[StoredFact], StoredFact]]
    ) -> list[StoredFact] | None:
        """All of these ids or, when one of them is unknown, none: None."""
        ...
