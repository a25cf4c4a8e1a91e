"""Documents on the wire, and the contexts and templates that they are written from."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from service.ambient.wire.values import WHOLE, Asked, Small, Text, Title, UsageInfo, Wire

_MOMENT = "2026-01-01T09:00:00Z"
_NOT_FOLLOWED = "taken; changes nothing with the embedded writer, which words sections by rules"

SectionKey = Annotated[Text, Field(min_length=1, max_length=255)]
Prompt = Annotated[Text, Field(max_length=10_000)]


class SpokenText(Asked):
    """`id` and `role` are ours: what our transcripts carry, so that evidence can name its segment."""

    text: Text = Field(description="what was said", examples=["I have a sharp pain in my chest."])
    id: Text | None = Field(
        None, description="names the segment in the evidence; where ids repeat, `c` and its place does", examples=["s1"]
    )
    role: Text | None = Field(
        None, description="who spoke: `doctor`, `patient` or `other`; anything else is unknown", examples=["patient"]
    )
    channel: Small | None = Field(None, description="channel of the recording", examples=[0])
    participant: Small | None = Field(None, description="participant of the channel", examples=[1])
    speaker_id: Small | None = Field(None, description="speaker; -1 when nobody was told apart", examples=[1])
    start: Small | None = Field(None, description="milliseconds from the start of the recording", examples=[7487])
    end: Small | None = Field(None, description="milliseconds from the start of the recording", examples=[11811])


class TranscriptContext(Asked):
    type: Literal["transcript"] = Field(description="one segment of a transcript, or all of it in one text")
    data: SpokenText = Field(description="the segment")


class StringContext(Asked):
    type: Literal["string"] = Field(description="any text")
    data: Text = Field(
        description="read line by line; nobody knows who speaks in it", examples=["The patient has had a cough."]
    )


class FactText(Asked):
    text: Text = Field(
        description="the fact; it goes into the document in these words", examples=["Allergic to penicillin."]
    )
    group: Text | None = Field(
        None,
        description="fact group, by key or English name; an unknown or missing one is `other`",
        examples=["allergies"],
    )
    source: Literal["core", "system", "user"] | None = Field(None, description="who established it", examples=["user"])


class FactsContext(Asked):
    type: Literal["facts"] = Field(description="facts that the caller has established")
    data: list[FactText] = Field(max_length=10_000, description="the facts, in the order in which a section tells them")


Context = Annotated[TranscriptContext | StringContext | FactsContext, Field(discriminator="type")]


class SectionOverride(Asked):
    key: SectionKey = Field(description="key of a section of `GET /templateSections/`", examples=["corti-plan"])
    name_override: Title | None = Field(
        None, description="name of the section in the document", examples=["Next steps"]
    )
    writing_style_override: Prompt | None = Field(None, description=_NOT_FOLLOWED, examples=["Telegram style"])
    format_rule_override: Prompt | None = Field(None, description=_NOT_FOLLOWED, examples=["Bullet points"])
    additional_instructions_override: Prompt | None = Field(None, description=_NOT_FOLLOWED, examples=["Be brief"])
    content_override: Prompt | None = Field(None, description=_NOT_FOLLOWED, examples=["Only medication"])


class DynamicTemplate(Asked):
    """Exactly one of `sectionKeys` and `sections`, in the order of the document; a section may come once."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["sectionKeys"]}, {"required": ["sections"]}]})

    section_keys: Annotated[list[SectionKey], Field(min_length=1, max_length=200)] | None = Field(
        None, description="keys of sections of `GET /templateSections/`", examples=[["corti-subjective", "corti-plan"]]
    )
    sections: Annotated[list[SectionOverride], Field(min_length=1, max_length=200)] | None = Field(
        None, description="sections with overrides", examples=[[{"key": "corti-plan", "nameOverride": "Next steps"}]]
    )
    document_name: Title | None = Field(None, description="name of a document that is given none", examples=["Letter"])
    description: Prompt | None = Field(None, description=_NOT_FOLLOWED, examples=["A letter to the family doctor"])
    additional_instructions: Prompt | None = Field(None, description=_NOT_FOLLOWED, examples=["Be brief"])
    additional_instructions_override: Prompt | None = Field(None, description=_NOT_FOLLOWED, examples=["Be brief"])

    @model_validator(mode="after")
    def _one_list_of_sections(self) -> DynamicTemplate:
        if (self.section_keys is None) == (self.sections is None):
            raise ValueError("exactly one of sectionKeys and sections is needed")
        keys = [section.key for section in self.overrides()]
        if len(keys) != len(set(keys)):
            raise ValueError("a section may come once")
        return self

    def overrides(self) -> list[SectionOverride]:
        return self.sections or [SectionOverride(key=key) for key in self.section_keys or ()]


class CreateDocument(Asked):
    """One of `templateKey` and `template` is needed."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["templateKey"]}, {"required": ["template"]}]})

    context: Annotated[list[Context], Field(min_length=1, max_length=10_000)] = Field(
        description="what the document is written from; several objects only when all are transcripts; at most 10,000 segments, "
        "lines or facts and 500,000 characters",
        examples=[[{"type": "transcript", "data": {"text": "I have had a cough for ten days.", "role": "patient"}}]],
    )
    template_key: SectionKey | None = Field(
        None, description="key of a template of `GET /templates/`; wins over `template`", examples=["corti-soap"]
    )
    template: DynamicTemplate | None = Field(
        None,
        description="a template put together for this document",
        examples=[{"sectionKeys": ["corti-subjective", "corti-plan"]}],
    )
    name: Title | None = Field(
        None, description="name of the document; otherwise that of the template", examples=["Visit note"]
    )
    output_language: Title = Field(description="BCP 47 tag of a language that the template has", examples=["en"])
    disable_guardrails: bool | None = Field(
        None, description="taken; changes nothing: nothing is written that was not said", examples=[False]
    )
    documentation_mode: Literal["global_sequential", "routed_parallel"] | None = Field(
        None, description="taken; changes nothing with the embedded writer", examples=["global_sequential"]
    )

    @model_validator(mode="after")
    def _some_template(self) -> CreateDocument:
        if self.template_key is None and self.template is None:
            raise ValueError("templateKey or template is needed")
        return self


class ChangeSection(Asked):
    key: SectionKey = Field(
        description="a section of the document; any other is added at the end", examples=["corti-plan"]
    )
    name: Title | None = Field(None, min_length=1, description="its new name", examples=["Next steps"])
    text: Annotated[Text, Field(max_length=100_000)] | None = Field(
        None, description="its new text, which no evidence supports any more", examples=["Rest."]
    )
    sort: Annotated[int, Field(ge=0, le=10**9), WHOLE] | None = Field(
        None, description="its new place; sections are shown in the order of these numbers", examples=[0]
    )


class ChangeDocument(Asked):
    """What is left out or null stays as it is."""

    name: Title | None = Field(None, min_length=1, description="new name of the document", examples=["Visit note"])
    sections: Annotated[list[ChangeSection], Field(max_length=200)] | None = Field(
        None,
        description="changes of single sections; those not named stay",
        examples=[[{"key": "corti-plan", "text": "Rest."}]],
    )


class Evidence(Wire):
    """Ours: one sentence of a section and what it rests on."""

    text: str = Field(description="the sentence", examples=["Has had a cough for ten days."])
    segments: list[str] = Field(
        description="ids of segments or facts of the context; `c` and its place for one without an id",
        examples=[["s1"]],
    )
    start: int | None = Field(None, description="milliseconds; left out when not known", examples=[7487])
    end: int | None = Field(None, description="milliseconds; left out when not known", examples=[11811])


class DocumentSection(Wire):
    key: str = Field(description="key of the section", examples=["corti-subjective"])
    name: str = Field(description="heading", examples=["Subjective"])
    text: str = Field(
        description="one sentence a line; empty when nothing was said about it",
        examples=["Has had a cough for ten days."],
    )
    sort: int = Field(description="place in the document", examples=[0])
    created_at: datetime = Field(description="when the section was written", examples=[_MOMENT])
    updated_at: datetime = Field(description="when the section was last changed", examples=[_MOMENT])
    evidence: list[Evidence] = Field(
        description="for each sentence what it rests on; empty once a person has changed the text",
        examples=[[{"text": "Has had a cough for ten days.", "segments": ["s1"], "start": 7487, "end": 11811}]],
    )


class DocumentResponse(Wire):
    id: str = Field(description="UUID", examples=["d0c1a5e4-5b1e-4a3e-9a50-8a8f5f0f6b11"])
    name: str = Field(description="name of the document", examples=["Visit note"])
    template_ref: str = Field(
        description="key of the template; for a dynamic one `dynamic:` and a hash that the same sections give again",
        examples=["corti-soap"],
    )
    is_stream: bool = Field(False, description="always false", examples=[False])
    sections: list[DocumentSection] = Field(description="in the order of `sort`")
    created_at: datetime = Field(description="when the document was written", examples=[_MOMENT])
    updated_at: datetime = Field(description="when anything in it was last changed", examples=[_MOMENT])
    output_language: str = Field(description="as asked", examples=["en"])
    usage_info: UsageInfo = Field(UsageInfo(), description="nothing is charged")


class DocumentList(Wire):
    data: list[DocumentResponse] = Field(description="oldest first; empty when there is none")
