"""What the workflow needs from outside, each in the workflow's own words. Adapters implement these."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from service.events.delivery import Delivery, TakeIn
from service.events.event import Event
from service.fhir.capability_statement import Capabilities
from service.fhir.device import Scribe
from service.workflow.visit import Fact, Progress, Settlement, Taken, Visit


class Consumer(Protocol):
    """A running consumer."""

    async def check(self) -> None:
        """Returns when deliveries are known to flow: the queue answers and has this consumer. Raises ConsumerDown."""
        ...

    async def alive(self) -> None:
        """Raises ConsumerDown when only a new process helps: never because the broker is away."""
        ...

    async def stop(self) -> None:
        """Takes no further delivery and waits for those in hand."""
        ...


class ConsumerDown(Exception):
    """The queue does not answer, or has no consumer."""


class PublishFailed(Exception):
    """The broker did not confirm; the caller may try again."""


class PublishRefused(PublishFailed):
    """The broker is there and will not have it, whenever it is tried: nothing is bound to the routing key, or we have no
    permission."""


class Broker(Protocol):
    async def publish(
        self, body: bytes, *, routing_key: str, content_type: str, message_id: str, headers: Mapping[str, str]
    ) -> None:
        """Sends to exchange `fhir.events`; returns once the broker confirmed. Raises PublishFailed, or PublishRefused."""
        ...

    async def lacks(self) -> list[str]:
        """What a worker would miss, a phrase each: permissions and bindings, found out by using them. For the doctor."""
        ...

    def consume(self, take_in: TakeIn) -> AbstractAsyncContextManager[Consumer]:
        """Hands every delivery of `ambient.events` to `take_in` and settles it by what that returns.

        `stored` and `ignored` are acknowledged; `dead` is copied to `ambient.events.dead` with a confirm and the header
        `x-ambient-reason`, then acknowledged; an exception returns the delivery to the queue after a pause.
        """
        ...


# --- the ambient API, embedded or remote ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recording:
    """`channels` and `duration_ms` are known only where the engine tells them (the embedded one does)."""

    id: str
    channels: int | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """`segments` are the wire's own objects (`text`, `start`, `end` in ms, `channel`, `participant`, `speakerId`, maybe `id`, `role`)."""

    id: str
    recording_id: str
    status: Literal["processing", "completed", "failed"]
    segments: Sequence[dict[str, Any]] = ()
    roles: Mapping[int, str] = field(default_factory=dict)
    progress: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NoteSection:
    """`evidence`: for each sentence its text and the segment ids it rests on; empty where the engine gives none."""

    key: str
    name: str
    text: str
    evidence: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    name: str
    template: str
    language: str
    sections: Sequence[NoteSection]


class Ambient(Protocol):
    """The asynchronous ambient documentation workflow. Every call raises Retryable (429, 5xx, timeout, no connection;
    `engine_parked` when nothing was sent) or NeedsPerson (any other refusal, with the status and the error body's `type`).

    Lists hold ids, and nothing where the interaction is not there; to delete what is not there is fine."""

    @property
    def scribe(self) -> Scribe:
        """What transcribes and drafts there, as the EHR is told."""
        ...

    async def create_interaction(
        self, *, identifier: str, patient: str, started_at: str | None, ended_at: str | None, kind: str
    ) -> str:
        """The new interaction's id. `kind` is the wire's encounter type."""
        ...

    async def find_interaction(self, *, identifier: str, patient: str) -> str | None:
        """The oldest interaction of this patient with this `encounter.identifier`."""
        ...

    async def find_interactions(self, *, identifier: str, patient: str) -> list[str]:
        """All of them, oldest first."""
        ...

    async def delete_interaction(self, interaction: str) -> None: ...

    async def upload_recording(
        self, interaction: str, audio: AsyncIterator[bytes], content_type: str | None
    ) -> Recording: ...

    async def list_recordings(self, interaction: str) -> list[str]: ...

    async def delete_recording(self, interaction: str, recording: str) -> None: ...

    async def create_transcript(
        self, interaction: str, recording: str, *, language: str, multichannel: bool, roles: Mapping[int, str]
    ) -> Transcript:
        """Asks for an asynchronous transcript; usually answers `processing`."""
        ...

    async def find_transcript(self, interaction: str, recording: str) -> Transcript | None: ...

    async def list_transcripts(self, interaction: str) -> list[str]: ...

    async def delete_transcript(self, interaction: str, transcript: str) -> None: ...

    async def get_transcript(self, interaction: str, transcript: str) -> Transcript | None:
        """None when the engine does not know it (any more). Segments only when `completed`."""
        ...

    async def create_document(
        self, interaction: str, *, template: str, name: str, language: str, segments: Sequence[Mapping[str, Any]]
    ) -> Document: ...

    async def find_document(self, interaction: str, name: str) -> Document | None: ...

    async def list_documents(self, interaction: str) -> list[str]: ...

    async def delete_document(self, interaction: str, document: str) -> None: ...

    async def template_keys(self) -> list[str]: ...


# --- the EHR ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filed:
    """A resource that the EHR holds: `reference` is `Type/id`, `version` its versionId where known."""

    reference: str
    version: str | None
    created: bool


@dataclass(frozen=True, slots=True)
class Audio:
    chunks: AsyncIterator[bytes]
    content_type: str | None


class Absent(Exception):
    """The EHR does not have it: 404, or 410 when `gone`."""

    def __init__(self, reference: str, gone: bool = False) -> None:
        super().__init__(reference)
        self.gone = gone


class Expired(Exception):
    """The URL of the audio is no longer good for it, as a signed one after its time."""


class Changed(Exception):
    """Somebody changed the resource since the version we know."""


class AnswerLost(Exception):
    """A write was sent and its answer never came: it may or may not have been carried out."""


class Ehr(Protocol):
    """FHIR R4. Calls raise Retryable (429, 5xx, timeout; `ehr_parked` when nothing was sent), or NeedsPerson (any other refusal, in the OperationOutcome's codes)."""

    @property
    def base_url(self) -> str: ...

    @property
    def name(self) -> str:
        """What identifies this EHR in visit ids and note identifiers: its base URL, or `sandbox` wherever that is served."""
        ...

    async def capabilities(self, *, afresh: bool = False) -> Capabilities:
        """What `/metadata` says, read once an hour; nothing where the server shows none (401, 403, 404)."""
        ...

    async def read(self, reference: str) -> dict[str, Any]:
        """The current version of `Type/id`. Raises Absent."""
        ...

    async def find(self, resource_type: str, identifier: str) -> list[dict[str, Any]]:
        """Resources with this `system|value`."""
        ...

    async def search(self, resource_type: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Resources of this type that the server finds, of all pages. Raises NeedsPerson `ehr_search_incomplete` for more than
        200 of them.

        A lenient server ignores parameters that it does not know: whoever decides by what is found must check it.
        """
        ...

    async def create_once(self, resource: Mapping[str, Any], identifier: str) -> Filed:
        """Conditional create on `system|value`. Raises AnswerLost; NeedsPerson `several_matches` on 412."""
        ...

    async def create(self, resource: Mapping[str, Any]) -> Filed:
        """Unconditional: twice is two resources. Raises AnswerLost."""
        ...

    async def transact(self, bundle: Mapping[str, Any]) -> list[Filed]:
        """A transaction Bundle, all of it or nothing; what became of each entry, in their order. Raises AnswerLost."""
        ...

    async def update(self, resource: Mapping[str, Any], version: str | None) -> Filed:
        """PUT with If-Match. Raises Changed, Absent, AnswerLost."""
        ...

    def open_audio(self, attachment: Mapping[str, Any]) -> AbstractAsyncContextManager[Audio]:
        """Streams the audio of a Media's `content`: inline data, a Binary, or a URL on an allowed host; capped in bytes and
        in time.

        Raises Absent when it is not there (yet), Expired when a fresh URL is needed, Retryable, NeedsPerson `audio_…`.
        """
        ...


# --- memory --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """What one delivery changed. `woken` holds the ids of visits that are due now."""

    stored: int
    duplicates: int
    conflicts: int
    woken: Sequence[str]


class Inbox(Protocol):
    async def store(self, delivery: Delivery, events: Sequence[Event], ehr: str) -> Stored:
        """The delivery, its events, the facts they add to their visits, and those visits made due: one commit, or several
        for a delivery of very many events, which then comes again whole when one of them fails."""
        ...

    async def store_dead(self, delivery: Delivery, reason: str, detail: str) -> str:
        """Keeps a delivery that cannot be taken in, whole, and returns the dead letter's id. Repeats are kept once."""
        ...


Intents = Mapping[str, Mapping[str, Any]]
"""Steps that may be taken, each with what is known about it beforehand."""

Plan = Callable[[Visit], Intents]
"""The intents of what a run over this visit may do."""


class Canaries(Protocol):
    """The canaries that came out of the queue, by name, on the database's clock."""

    async def note(self, name: str) -> None:
        """This one came out just now. Those of more than a day ago are forgotten."""
        ...

    async def age(self, name: str) -> float | None:
        """Seconds since it last came out; None when it never did."""
        ...


class Visits(Protocol):
    """Visits under leases. Every write of a runner carries the visit's fence and raises LostLease when it is not the last."""

    async def claim(
        self, owner: str, limit: int, lease: float, plan: Plan, allowances: Mapping[str, int]
    ) -> list[Visit]:
        """Due visits that nobody holds, oldest first, now held by `owner` for `lease` seconds on the database's clock.

        The intents of their planned steps are in the same commit: whatever a run does is written down beforehand.
        Of those waiting on a destination in `allowances` at most so many are claimed.
        """
        ...

    async def renew(self, visit: Visit, lease: float) -> None: ...

    async def save(
        self, visit: Visit, taken: Sequence[Taken], intents: Intents, writes: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """One commit for steps taken, for further intents, and for the `writes` to the EHR that are about to be sent:
        for each step what `Write.sent` keeps of it."""
        ...

    async def forget(self, visit: Visit, steps: Sequence[str]) -> None:
        """Steps whose effect is known to be gone or failed for good: they will be taken anew, and their traces swept."""
        ...

    async def note_fact(self, visit: Visit, read: Fact, key: str, ehr: str) -> bool:
        """Stores what was read from the EHR, in the visit with this key, where it says something else than is known.
        It overrules an event's version, unless something else was stored since `visit` was claimed. True when it was
        news; then the visit's revision is one higher, and the visit with the key is due."""
        ...

    async def is_overtaken(self, visit: Visit) -> bool:
        """Whether facts arrived since the claim. Raises LostLease."""
        ...

    async def settle(self, visit: Visit, settlement: Settlement, progress: Progress) -> None:
        """Saves the progress and ends the lease, in one commit. When facts arrived since the claim, the visit is due at
        once whatever its `next_in` says."""
        ...

    async def identifier_kept(self, ehr: str) -> bool | None:
        """Whether the EHR keeps the identifiers of notes; None where none was read back yet."""
        ...

    async def note_identifier_kept(self, ehr: str, kept: bool) -> None: ...

    async def release(self, owner: str) -> int:
        """Gives back every visit that `owner` holds, due at once, and returns how many."""
        ...

    async def claim_unswept(self, owner: str, limit: int, lease: float, early: bool) -> list[Visit]:
        """Ended visits whose time has come to be swept (`early`: or has not), now held by `owner`."""
        ...

    async def swept(self, visit: Visit, *, clean: bool, doubted: Sequence[str] = ()) -> None:
        """Ends that lease; unless `clean`, the visit is swept again later. Where steps are `doubted`, it is due, and looks
        for their effect again."""
        ...
