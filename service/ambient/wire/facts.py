"""Facts and their groups on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.ambient.wire.values import Asked, Text, UsageInfo, Uuid, Wire

Source = Literal["core", "system", "user"]

_ID = "c1f0a7d2-5b64-4a0d-8f5e-2a9b3c4d5e6f"
_GROUP_ID = "6d9f4f0a-6c3e-5d0b-9a51-0b9d3a7f1c2e"
_MOMENT = "2026-01-01T09:00:00Z"

FactWords = Annotated[
    Text, Field(min_length=1, max_length=10_000, description="the fact in words", examples=["Dry cough for ten days"])
]
Group = Annotated[
    Text,
    Field(max_length=100, description="key of a fact group", examples=["history-of-present-illness"]),
]
Discarded = Annotated[bool, Field(description="whether it is not to be used", examples=[False])]
GivenSource = Annotated[Source, Field(description="who established it", examples=["user"])]


class NewFact(Asked):
    text: FactWords
    group: Group
    source: GivenSource | None = "user"


class CreateFacts(Asked):
    facts: Annotated[list[NewFact], Field(min_length=1, max_length=1000, description="kept all or none")]


class ChangeFact(Asked):
    """What is left out, or `null`, stays."""

    text: FactWords | None = None
    group: Group | None = None
    source: GivenSource | None = None
    is_discarded: Discarded | None = None


class ChangeFactOfSeveral(ChangeFact):
    fact_id: Uuid = Field(description="a fact of this interaction", examples=[_ID])


class ChangeFacts(Asked):
    facts: Annotated[list[ChangeFactOfSeveral], Field(min_length=1, max_length=1000, description="changed all or none")]


class FactEvidence(Wire):
    type: str = Field(description="kind of evidence", examples=["transcript"])
    reference: str = Field(description="what it refers to", examples=["s1"])
    quote: str = Field(description="the words that it rests on", examples=["I have had a dry cough."])


class FactResponse(Wire):
    id: str = Field(description="id of the fact", examples=[_ID])
    text: str = Field(description="the fact in words", examples=["Dry cough for ten days"])
    group: str = Field(description="key of a fact group", examples=["history-of-present-illness"])
    group_id: str = Field(description="id of the group", examples=[_GROUP_ID])
    source: GivenSource
    is_discarded: Discarded
    created_at: datetime = Field(description="when it was created", examples=[_MOMENT])
    updated_at: datetime = Field(description="when it was last changed", examples=[_MOMENT])
    evidence: list[FactEvidence] = Field([], description="none is kept here: callers establish facts themselves")


class FactList(Wire):
    facts: list[FactResponse] = Field(description="oldest first")


class GroupName(Wire):
    """`languages_id` is the wire's name: it kept its older spelling here."""

    id: int = Field(description="number of the translation", examples=[1])
    languages_id: str = Field(alias="languages_id", description="BCP 47", examples=["en"])
    name: str = Field(description="name of the group in that language", examples=["Allergies"])


class FactGroup(Wire):
    id: str = Field(description="id of the group", examples=[_GROUP_ID])
    key: str = Field(description="its key, which facts name", examples=["allergies"])
    translations: list[GroupName] = Field(description="its names")


class FactGroupList(Wire):
    data: list[FactGroup] = Field(description="in the order of a chart")


class PlainText(Asked):
    type: Literal["text"] = Field(description="plain text is the only kind", examples=["text"])
    text: Annotated[
        Text,
        Field(min_length=1, max_length=100_000, description="one statement a line", examples=["I take lisinopril."]),
    ]


class ExtractFacts(Asked):
    context: Annotated[list[PlainText], Field(min_length=1, max_length=100, description="what facts are looked for in")]
    output_language: Annotated[Text, Field(description="BCP 47; English is what the embedded writer has")] = Field(
        examples=["en"]
    )


class ExtractedFact(Wire):
    group: str = Field(description="key of a fact group", examples=["history-of-present-illness"])
    text: str = Field(description="the fact in words", examples=["Dry cough for ten days"])
    value: str = Field(description="the same; deprecated", examples=["Dry cough for ten days"])


class ExtractedFacts(Wire):
    facts: list[ExtractedFact] = Field(description="sorted by group")
    output_language: str = Field(description="as asked", examples=["en"])
    usage_info: UsageInfo = Field(default=UsageInfo(), description="what it cost")
