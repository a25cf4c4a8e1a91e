"""Interactions on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.ambient.wire.values import Asked, EncounterStatus, Identifier, Moment, Title, Uuid, Wire

EncounterType = Literal["first_consultation", "consultation", "emergency", "inpatient", "outpatient"]
Gender = Literal["male", "female", "unknown", "other"]

_ID = "0f6e1c4e-6f0c-4d5e-9b1c-77aa12d0c1b2"
_USER = "5d3c7f1a-8a44-4a57-b0b2-0c6a4b1f9e77"
_URL = f"ws://127.0.0.1:8000/audio-bridge/v2/interactions/{_ID}/streams?tenant-name=base"
_MOMENT = "2026-01-01T09:00:00Z"

IdentifierField = Annotated[
    Identifier,
    Field(min_length=1, description="the caller's own id of the encounter, once in a tenant", examples=["visit-1"]),
]
StatusField = Annotated[EncounterStatus, Field(description="where the encounter stands", examples=["in-progress"])]
TypeField = Annotated[EncounterType, Field(description="kind of encounter", examples=["consultation"])]
TitleField = Annotated[Title | None, Field(description="title of the encounter", examples=["Follow-up"])]
PatientIdentifier = Annotated[Identifier, Field(description="the caller's own id of the patient", examples=["p-17"])]
UserField = Annotated[
    Uuid | None, Field(description="the user it is assigned to; one is made up when none is given", examples=[_USER])
]


class Period(Asked):
    started_at: Moment = Field(description="begin of the encounter", examples=[_MOMENT])
    ended_at: Moment | None = Field(None, description="its end, once it has ended", examples=["2026-01-01T09:20:00Z"])


class Encounter(Asked):
    identifier: IdentifierField
    status: StatusField
    type: TypeField
    period: Period | None = Field(None, description="begin and end; the begin is that of creation when none is given")
    title: TitleField = None


class Patient(Asked):
    identifier: PatientIdentifier
    name: Title | None = Field(None, description="the patient's name")
    gender: Gender | None = Field(None, description="administrative gender", examples=["female"])
    birth_date: Moment | None = Field(None, description="a date, or a date and time", examples=["1980-05-17"])
    pronouns: Title | None = Field(None, description="how the patient wishes to be spoken of", examples=["she/her"])


class CreateInteraction(Asked):
    assigned_user_id: UserField = None
    encounter: Encounter = Field(description="the encounter that is documented")
    patient: Patient | None = Field(None, description="whom it concerns")


class ChangeEncounter(Asked):
    """What is left out stays; `null` takes away what an encounter may lack."""

    identifier: IdentifierField | None = None
    status: StatusField | None = None
    type: TypeField | None = None
    period: Period | None = Field(None, description="begin and end")
    title: TitleField = None


class ChangeInteraction(Asked):
    """Merged field by field with what is known; what is left out stays."""

    assigned_user_id: UserField = None
    encounter: ChangeEncounter | None = Field(None, description="what changes about the encounter")
    patient: Patient | None = Field(None, description="what changes about the patient")


class InteractionCreated(Wire):
    """`id` and `wssUrl` are aliases for callers written against the workflow page."""

    interaction_id: str = Field(description="id of the new interaction", examples=[_ID])
    websocket_url: str = Field(description="address for streaming, which is not offered here", examples=[_URL])
    id: str = Field(description="the same as `interactionId`", examples=[_ID])
    wss_url: str = Field(description="the same as `websocketUrl`", examples=[_URL])


class PeriodResponse(Wire):
    started_at: datetime = Field(description="begin of the encounter", examples=[_MOMENT])
    ended_at: datetime | None = Field(None, description="its end, once it has ended", examples=["2026-01-01T09:20:00Z"])


class EncounterResponse(Wire):
    identifier: str = Field(description="the caller's own id of the encounter", examples=["visit-1"])
    status: StatusField
    type: TypeField
    period: PeriodResponse = Field(description="begin and end")
    title: str | None = Field(None, description="title of the encounter", examples=["Follow-up"])


class PatientResponse(Wire):
    identifier: str = Field(description="the caller's own id of the patient", examples=["p-17"])
    name: str | None = Field(None, description="the patient's name")
    gender: Gender | None = Field(None, description="administrative gender", examples=["female"])
    birth_date: datetime | None = Field(
        None, description="midnight UTC of a plain date", examples=["1980-05-17T00:00:00Z"]
    )
    pronouns: str | None = Field(None, description="how the patient wishes to be spoken of", examples=["she/her"])


class InteractionResponse(Wire):
    id: str = Field(description="id of the interaction", examples=[_ID])
    assigned_user_id: str = Field(description="the user it is assigned to", examples=[_USER])
    encounter: EncounterResponse = Field(description="as it was given, always with a `period`")
    patient: PatientResponse = Field(description="as it was given; an empty `identifier` when none was")
    ended_at: datetime | None = Field(None, description="end of the encounter", examples=["2026-01-01T09:20:00Z"])
    created_at: datetime = Field(description="when it was created", examples=[_MOMENT])
    updated_at: datetime = Field(description="when it was last changed", examples=[_MOMENT])
    last_updated: datetime = Field(description="the same as `updatedAt`", examples=[_MOMENT])
    websocket_url: str = Field(description="address for streaming, which is not offered here", examples=[_URL])


class InteractionList(Wire):
    interactions: list[InteractionResponse] = Field(description="one page; empty past the end")
