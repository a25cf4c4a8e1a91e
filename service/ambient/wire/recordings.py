"""Recordings on the wire; the audio itself is a body of bytes."""

from __future__ import annotations

from pydantic import Field

from service.ambient.wire.values import Wire

_ID = "9b1c6a52-3f0e-4f7d-8a41-2d0c5e7b9f10"


class RecordingCreated(Wire):
    """`channels` and `durationMs` are ours."""

    recording_id: str = Field(description="id of the new recording", examples=[_ID])
    channels: int = Field(description="channels of the audio", examples=[2])
    duration_ms: int = Field(description="how long it is, in milliseconds, by what it holds", examples=[74581])


class RecordingList(Wire):
    recordings: list[str] = Field(description="ids, oldest first", examples=[[_ID]])
