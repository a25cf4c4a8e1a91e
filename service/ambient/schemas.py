"""The wire: camelCase names, unknown keys ignored. Required response fields are never null."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

_DATE = re.compile(r"\d{4}-\d\d-\d\d([Tt ].*)?", re.DOTALL)
_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def without_nul(text: str) -> str:
    """PostgreSQL keeps no NUL in text."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


def _written_date(value: object) -> object:
    """A number would be read as seconds since 1970, and so would a bare year."""
    if value is not None and not (isinstance(value, str) and _DATE.fullmatch(value)):
        raise ValueError("must be an ISO 8601 date or date and time")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


Text = Annotated[str, AfterValidator(without_nul)]
Uuid = Annotated[str, StringConstraints(pattern=_UUID, to_lower=True)]
Moment = Annotated[datetime, Field(strict=False), AfterValidator(_in_utc), BeforeValidator(_written_date)]
Small = Annotated[int, Field(ge=-1, le=10**9)]
Role = Literal["doctor", "patient", "multiple"]
EncounterStatus = Literal["planned", "in-progress", "on-hold", "completed", "cancelled", "deleted"]


class Wire(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", hide_input_in_errors=True
    )


class Asked(Wire):
    """A request: JSON types are taken at their word, `"1"` is no number."""

    model_config = ConfigDict(strict=True)


# --- requests --------------------------------------------------------------------------------------------------------


class Period(Asked):
    started_at: Moment
    ended_at: Moment | None = None


class Encounter(Asked):
    identifier: Text
    status: EncounterStatus
    type: Literal["first_consultation", "consultation", "emergency", "inpatient", "outpatient"]
    period: Period | None = None
    title: Text | None = None


class Patient(Asked):
    identifier: Text
    name: Text | None = None
    gender: Literal["male", "female", "unknown", "other"] | None = None
    birth_date: Moment | None = None
    pronouns: Text | None = None


class CreateInteraction(Asked):
    assigned_user_id: Uuid | None = None
    encounter: Encounter
    patient: Patient | None = None


class Participant(Asked):
    channel: Annotated[int, Field(ge=0, le=255)]
    role: Role


class CreateTranscript(Asked):
    recording_id: Uuid
    primary_language: Text
    is_multichannel: bool = False
    diarize: bool = False
    participants: list[Participant] | None = None
    in_background: bool = Field(False, alias="async", description="answer at once with 202")


class SpokenText(Asked):
    """`id` and `role` are ours: what our transcripts carry, so that evidence can name its segment."""

    text: Text
    id: Text | None = None
    role: Text | None = None
    channel: Small | None = None
    participant: Small | None = None
    speaker_id: Small | None = None
    start: Small | None = None
    end: Small | None = None


class TranscriptContext(Asked):
    type: Literal["transcript"]
    data: SpokenText


class StringContext(Asked):
    type: Literal["string"]
    data: Text


class FactText(Asked):
    text: Text
    group: Text | None = None
    source: Literal["core", "system", "user"] | None = None


class FactsContext(Asked):
    type: Literal["facts"]
    data: list[FactText]


Context = Annotated[TranscriptContext | StringContext | FactsContext, Field(discriminator="type")]


class CreateDocument(Asked):
    context: Annotated[list[Context], Field(min_length=1)]
    template_key: Text
    name: Text | None = None
    output_language: Text


# --- responses -------------------------------------------------------------------------------------------------------


class ErrorResponse(BaseModel):
    requestid: str
    status: int
    type: str
    detail: str
    validationErrors: list[dict[str, str]] | None = None  # noqa: N815 - the wire's name


class InteractionCreated(Wire):
    """`id` and `wssUrl` are aliases for callers written against the workflow page."""

    interaction_id: str
    websocket_url: str
    id: str
    wss_url: str


class InteractionResponse(Wire):
    id: str
    assigned_user_id: str
    encounter: dict[str, Any]
    patient: dict[str, Any]
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime
    last_updated: datetime
    websocket_url: str


class InteractionList(Wire):
    interactions: list[InteractionResponse]


class RecordingCreated(Wire):
    """`channels` and `durationMs` are ours."""

    recording_id: str
    channels: int
    duration_ms: int


class RecordingList(Wire):
    recordings: list[str]


class UsageInfo(Wire):
    credits_consumed: float = 0.0


class SpokenSegment(Wire):
    """`id` and `role` (doctor, patient, other, unknown) are ours. Times in milliseconds."""

    channel: int
    participant: int
    speaker_id: int
    text: str
    start: int
    end: int
    id: str
    role: str


class TranscriptMetadata(Wire):
    participants_roles: list[dict[str, Any]] | None


class TranscriptStatus(Wire):
    """`progress` (0..1) and `reason` (only when failed) are ours."""

    status: Literal["processing", "completed", "failed"]
    progress: float
    reason: str | None = None


class TranscriptResponse(TranscriptStatus):
    id: str
    metadata: TranscriptMetadata
    transcripts: list[SpokenSegment]
    usage_info: UsageInfo = UsageInfo()
    recording_id: str


class TranscriptContent(Wire):
    metadata: TranscriptMetadata
    transcripts: list[SpokenSegment]


class TranscriptItem(Wire):
    id: str
    transcript_sample: str
    transcript: TranscriptContent | None = None


class TranscriptList(Wire):
    transcripts: list[TranscriptItem]


class Evidence(Wire):
    """Ours: one sentence of a section and the segments it rests on. Times in milliseconds, left out when not known."""

    text: str
    segments: list[str]
    start: int | None = None
    end: int | None = None


class DocumentSection(Wire):
    key: str
    name: str
    text: str
    sort: int
    created_at: datetime
    updated_at: datetime
    evidence: list[Evidence]


class DocumentResponse(Wire):
    id: str
    name: str
    template_ref: str
    is_stream: bool = False
    sections: list[DocumentSection]
    created_at: datetime
    updated_at: datetime
    output_language: str
    usage_info: UsageInfo = UsageInfo()


class DocumentList(Wire):
    data: list[DocumentResponse]


class Translation(Wire):
    language_id: str
    name: str
    description: str


class WritingStyle(Wire):
    name: str


class TemplateSectionResponse(Wire):
    key: str
    name: str
    description: str
    type: str
    default_writing_style: WritingStyle
    translations: list[Translation]


class SortedSection(Wire):
    sort: int
    section: TemplateSectionResponse


class TemplateResponse(Wire):
    key: str
    name: str
    description: str
    status: str
    template_sections: list[SortedSection]
    translations: list[Translation]


class TemplateList(Wire):
    data: list[TemplateResponse]


class TemplateSectionList(Wire):
    data: list[TemplateSectionResponse]
