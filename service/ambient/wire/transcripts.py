"""Transcripts on the wire. Times are integer milliseconds from the start of the recording."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from service.ambient.wire.values import WHOLE, Asked, Role, Text, UsageInfo, Uuid, Wire

_ID = "77aa4b1e-0d6f-4f83-9a0e-5b1f0c2d3e4f"
_RECORDING = "9b1c7d52-3a1e-4c55-8f0b-6d2e1a9c4b7f"
_ROLES = [{"channel": 0, "role": "doctor"}, {"channel": 1, "role": "patient"}]
_SEGMENT = {
    "channel": 0,
    "participant": 0,
    "speakerId": 0,
    "text": "What brings you in today?",
    "start": 608,
    "end": 7167,
    "id": "s0",
    "role": "doctor",
}

Term = Annotated[Text, Field(min_length=1, max_length=50)]
Written = Annotated[Text, Field(max_length=1000)]


class Participant(Asked):
    channel: Annotated[int, Field(ge=0, le=255, description="channel of the recording, from 0", examples=[0]), WHOLE]
    role: Role = Field(description="who speaks on it; `multiple`: several persons", examples=["doctor"])


class Replacement(Asked):
    find: Annotated[Written, Field(min_length=1, description="whole words, in any letter case", examples=["mg"])]
    replace: Written = Field(description="what is written instead", examples=["milligrams"])


class Keyterm(Asked):
    term: Term = Field(description="a word or phrase to expect", examples=["lisinopril"])


class Keyterms(Asked):
    terms: Annotated[list[Keyterm], Field(max_length=1000, description="words that the recogniser should expect")]


class CreateTranscript(Asked):
    recording_id: Uuid = Field(description="a recording of this interaction", examples=[_RECORDING])
    primary_language: Text = Field(
        description="BCP 47; a region that is not known is left out. `GET /languages/` lists what is supported",
        examples=["en"],
    )
    is_multichannel: bool | None = Field(False, description="each channel is one voice, heard on its own")
    diarize: bool | None = Field(False, description="tell the voices of a channel apart")
    participants: Annotated[list[Participant], Field(max_length=256)] | None = Field(
        None, description="who speaks on which channel; not together with `diarize` on one channel", examples=[_ROLES]
    )
    is_dictation: bool | None = Field(False, description="older name of `spokenPunctuation`")
    spoken_punctuation: bool | None = Field(
        False, description='spoken marks ("comma", "new line") become marks; English'
    )
    automatic_punctuation: bool | None = Field(True, description="`false`: no marks, unless spoken ones are asked for")
    in_background: bool | None = Field(False, alias="async", description="answer at once with 202")
    replacements: Annotated[list[Replacement] | None, Field(max_length=1000)] = Field(
        None, description="words that are written otherwise than they were heard"
    )
    keyterms: Keyterms | None = Field(None, description="words that the recogniser should expect")


class SpokenSegment(Wire):
    """`id` and `role` are ours."""

    channel: int = Field(description="channel of the recording, from 0", examples=[0])
    participant: int = Field(description="number of the voice within the transcript, from 0", examples=[0])
    speaker_id: int = Field(description="number of the speaker, from 0; -1 when not told apart", examples=[0])
    text: str = Field(description="what was said", examples=["What brings you in today?"])
    start: int = Field(description="milliseconds from the start of the recording", examples=[608])
    end: int = Field(description="milliseconds from the start of the recording", examples=[7167])
    id: str = Field(description="unique within the transcript; a document's evidence names it", examples=["s0"])
    role: Literal["doctor", "patient", "other", "unknown"] = Field(description="who speaks", examples=["doctor"])


class TranscriptMetadata(Wire):
    participants_roles: list[dict[str, Any]] | None = Field(
        description="the participants as they were given, null when none were", examples=[_ROLES]
    )


class TranscriptStatus(Wire):
    """`progress` and `reason` are ours."""

    status: Literal["processing", "completed", "failed"] = Field(description="`failed`: create it again")
    progress: float = Field(description="part of the recording that has been heard, 0 to 1", examples=[1.0])
    reason: str | None = Field(
        None,
        description="why it failed: empty, undecodable, too_long, recording_deleted or internal_error",
        examples=["undecodable"],
    )


class TranscriptResponse(TranscriptStatus):
    id: str = Field(description="id of the transcript", examples=[_ID])
    metadata: TranscriptMetadata = Field(description="what was known before")
    transcripts: list[SpokenSegment] = Field(
        description="in the order of their start; empty while it is processing", examples=[[_SEGMENT]]
    )
    usage_info: UsageInfo = Field(default=UsageInfo(), description="what it cost")
    recording_id: str = Field(description="the recording that was heard", examples=[_RECORDING])


class TranscriptContent(Wire):
    metadata: TranscriptMetadata = Field(description="what was known before")
    transcripts: list[SpokenSegment] = Field(description="in the order of their start", examples=[[_SEGMENT]])


class TranscriptItem(Wire):
    id: str = Field(description="id of the transcript", examples=[_ID])
    transcript_sample: str = Field(description="its first 200 characters", examples=["What brings you in today?"])
    transcript: TranscriptContent | None = Field(None, description="only with `full=true`")


class TranscriptList(Wire):
    transcripts: list[TranscriptItem] = Field(description="oldest first")
