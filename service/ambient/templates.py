"""Templates and their sections: read only. Only those are offered that the configured writer can draft."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from service.ambient.errors import UNTYPED, ApiError
from service.ambient.ports import NoteWriter
from service.ambient.rooms import Rooms
from service.ambient.routing import SlashTolerant
from service.ambient.schemas import (
    SortedSection,
    TemplateList,
    TemplateResponse,
    TemplateSectionList,
    TemplateSectionResponse,
    Translation,
    WritingStyle,
)
from service.ambient.template_files import Section, Template, bundled_templates

router = SlashTolerant(tags=["templates"])

_STATUS = "published"
_Words = Annotated[list[str] | None, Query()]


@router.get("/templates/")
async def list_templates(rooms: Rooms, lang: _Words = None, status: _Words = None) -> TemplateList:
    """A filter that matches nothing gives an empty list, never an error."""
    if status and _STATUS not in status:
        return TemplateList(data=[])
    return TemplateList(data=[_shown(template) for template in _offered(rooms.writer, lang)])


@router.get("/templates/{key}")
async def get_template(rooms: Rooms, key: str) -> TemplateResponse:
    return _shown(known_template(key, rooms.writer))


@router.get("/templateSections/")
async def list_template_sections(rooms: Rooms, lang: _Words = None) -> TemplateSectionList:
    offered = _offered(rooms.writer, lang)
    sections = {section.key: _section(template, section) for template in offered for section in template.sections}
    return TemplateSectionList(data=list(sections.values()))


def known_template(key: str, writer: NoteWriter) -> Template:
    """Raises ApiError 404; the cloud answers 500 here, which its own client would try again."""
    template = bundled_templates().find(key)
    if template is None or not _drafted_by(writer, template):
        raise ApiError(404, UNTYPED, "template not found")
    return template


def _offered(writer: NoteWriter, languages: list[str] | None) -> list[Template]:
    return [
        template
        for template in bundled_templates().all()
        if _drafted_by(writer, template) and (not languages or any(template.speaks(tag) for tag in languages))
    ]


def _drafted_by(writer: NoteWriter, template: Template) -> bool:
    return writer.sections().issuperset(section.key for section in template.sections)


def _shown(template: Template) -> TemplateResponse:
    sections = [
        SortedSection(sort=sort, section=_section(template, section)) for sort, section in enumerate(template.sections)
    ]
    return TemplateResponse(
        key=template.key,
        name=template.name,
        description=template.description,
        status=_STATUS,
        template_sections=sections,
        translations=_translations(template, template),
    )


def _section(template: Template, section: Section) -> TemplateSectionResponse:
    return TemplateSectionResponse(
        key=section.key,
        name=section.name,
        description=section.description,
        type="text",
        default_writing_style=WritingStyle(name="As spoken"),
        translations=_translations(template, section),
    )


def _translations(template: Template, described: Template | Section) -> list[Translation]:
    return [
        Translation(language_id=language, name=described.name, description=described.description)
        for language in template.languages
    ]
