"""The template of a document: one that is offered, or one that the request puts together out of sections."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from service.ambient.errors import BAD_LANGUAGE, NO_SECTION, ApiError
from service.ambient.template_files import Section, Template, Templates, speaks
from service.ambient.templates import known_template
from service.ambient.wire.documents import CreateDocument, DynamicTemplate, SectionOverride

_NAME = "Document"


def template_asked(asked: CreateDocument, templates: Templates) -> Template:
    """Raises ApiError 404 for an unknown template or section, 400 where it does not exist in that language."""
    if asked.template_key is not None or asked.template is None:
        template = known_template(asked.template_key or "", templates)
    else:
        template = _put_together(asked.template, templates)
    if not speaks(template, asked.output_language):
        raise ApiError(400, BAD_LANGUAGE, "the template does not exist in outputLanguage")
    return template


def _put_together(asked: DynamicTemplate, templates: Templates) -> Template:
    """In the languages that all its sections have. The key is the same whenever the sections are, whatever their names."""
    sections = tuple(_section(override, templates) for override in asked.overrides())
    hashed = sha256("\n".join(section.key for section in sections).encode()).hexdigest()
    spoken = set.intersection(*(set(section.languages) for section in sections))
    return Template(
        key=f"dynamic:{hashed[:16]}",
        name=asked.document_name or _NAME,
        description=asked.description or "",
        sections=sections,
        languages=tuple(sorted(spoken)),
    )


def _section(override: SectionOverride, templates: Templates) -> Section:
    section = templates.section(override.key)
    if section is None:
        raise ApiError(404, NO_SECTION, "template section not found")
    return replace(section, name=override.name_override or section.name)
