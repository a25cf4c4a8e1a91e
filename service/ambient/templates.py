"""Templates and the sections that they are made of: read only, the same for every tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from service.ambient.errors import UNTYPED, ApiError
from service.ambient.fact_groups import FACT_GROUPS
from service.ambient.rooms import Rooms
from service.ambient.routing import Described
from service.ambient.template_files import Section, Template, Templates, speaks
from service.ambient.wire.templates import (
    SortedSection,
    TemplateList,
    TemplateResponse,
    TemplateSectionList,
    TemplateSectionResponse,
    Translation,
    WritingStyle,
)

router = Described(tags=["templates"])

_STATUS = "published"
_STYLES = {"clinical": "Clinical", "plain": "Plain language"}

_Languages = Annotated[
    list[str] | None,
    Query(description="only what can be written in one of these languages (BCP 47)", examples=[["en"]]),
]
_Organisations = Annotated[
    list[str] | None, Query(description="taken and not used: every template is open to every organisation")
]
_Statuses = Annotated[
    list[str] | None, Query(description="only templates of one of these; all are `published`", examples=[["published"]])
]
_OldStatuses = Annotated[list[str] | None, Query(alias="templateStatus", description="older name of `status`")]


@router.get("/templates/", summary="List templates")
async def list_templates(
    rooms: Rooms,
    lang: _Languages = None,
    org: _Organisations = None,  # noqa: ARG001 - only described
    status: _Statuses = None,
    template_status: _OldStatuses = None,
) -> TemplateList:
    """Every filter may be repeated. One that matches nothing gives an empty list, never an error."""
    if any(asked and _STATUS not in asked for asked in (status, template_status)):
        return TemplateList(data=[])
    return TemplateList(data=[_shown(template) for template in rooms.templates.all() if _spoken(template, lang)])


@router.get("/templates/{key}", summary="Get a template")
async def get_template(
    rooms: Rooms, key: Annotated[str, Path(description="with or without `corti-`", examples=["corti-soap"])]
) -> TemplateResponse:
    """404 for an unknown key."""
    return _shown(known_template(key, rooms.templates))


@router.get("/templateSections/", summary="List the sections of templates")
async def list_template_sections(
    rooms: Rooms,
    lang: _Languages = None,
    org: _Organisations = None,  # noqa: ARG001 - only described
) -> TemplateSectionList:
    """Also those that no template uses: a dynamic template may name any."""
    return TemplateSectionList(
        data=[_section(section) for section in rooms.templates.sections() if _spoken(section, lang)]
    )


def known_template(key: str, templates: Templates) -> Template:
    """Raises ApiError 404; the cloud answers 500 here, which its own client would try again."""
    template = templates.find(key)
    if template is None:
        raise ApiError(404, UNTYPED, "template not found")
    return template


def _spoken(described: Template | Section, languages: list[str] | None) -> bool:
    return not languages or any(speaks(described, tag) for tag in languages)


def _shown(template: Template) -> TemplateResponse:
    return TemplateResponse(
        key=template.key,
        name=template.name,
        description=template.description,
        status=_STATUS,
        template_sections=[
            SortedSection(sort=sort, section=_section(section)) for sort, section in enumerate(template.sections)
        ],
        translations=_translations(template),
    )


def _section(section: Section) -> TemplateSectionResponse:
    return TemplateSectionResponse(
        key=section.key,
        name=section.name,
        description=section.description,
        type="text",
        default_writing_style=WritingStyle(name=_STYLES[section.wording]),
        content=", ".join(FACT_GROUPS[group] for group in section.groups),
        translations=_translations(section),
    )


def _translations(described: Template | Section) -> list[Translation]:
    return [
        Translation(language_id=language, name=described.name, description=described.description)
        for language in described.languages
    ]
