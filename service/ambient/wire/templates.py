"""Templates and their sections on the wire."""

from __future__ import annotations

from pydantic import Field

from service.ambient.wire.values import Wire


class Translation(Wire):
    language_id: str = Field(description="BCP 47 tag", examples=["en"])
    name: str = Field(description="name in this language", examples=["Plan"])
    description: str = Field(description="description in this language", examples=["What happens next."])


class WritingStyle(Wire):
    name: str = Field(
        description="`Clinical` for the record, `Plain language` for the patient",
        examples=["Clinical", "Plain language"],
    )


class TemplateSectionResponse(Wire):
    key: str = Field(
        description="names the section in a dynamic template, and in every document", examples=["corti-plan"]
    )
    name: str = Field(
        description="heading; within a template it may differ from the section's own name", examples=["Plan"]
    )
    description: str = Field(description="what belongs in the section", examples=["What happens next."])
    type: str = Field(description="always `text`", examples=["text"])
    default_writing_style: WritingStyle = Field(description="how the section is worded")
    content: str = Field(
        description="the fact groups that go into the section; in one document each group goes only into the narrowest "
        "section that takes it",
        examples=["Plan, Actions"],
    )
    translations: list[Translation] = Field(description="one for each language that the section can be written in")


class SortedSection(Wire):
    sort: int = Field(description="place in the document, from 0", examples=[3])
    section: TemplateSectionResponse = Field(description="the section")


class TemplateResponse(Wire):
    key: str = Field(description="what `templateKey` of a new document names", examples=["corti-soap"])
    name: str = Field(description="name; a document without a name of its own takes it", examples=["SOAP note"])
    description: str = Field(
        description="what the template is for", examples=["Subjective, objective, assessment and plan."]
    )
    status: str = Field(description="always `published`", examples=["published"])
    template_sections: list[SortedSection] = Field(description="the sections in their order")
    translations: list[Translation] = Field(description="one for each language that the template can be written in")


class TemplateList(Wire):
    data: list[TemplateResponse] = Field(description="in the order of their keys; empty when no filter matches")


class TemplateSectionList(Wire):
    data: list[TemplateSectionResponse] = Field(description="every section that templates can be made of")
