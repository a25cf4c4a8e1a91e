"""The sections of a document: what each asks of the writer, how they are kept, and how a person changes them.

They are kept as the wire's own objects, with the times of each section; those of version 0.1.0 have no times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service.ambient.document_context import Material
from service.ambient.errors import LIMIT_REACHED, ApiError
from service.ambient.ports import SectionBrief, SectionDraft, Segment, Sentence
from service.ambient.store import StoredDocument
from service.ambient.template_files import Section, Template, Templates
from service.ambient.wire.documents import ChangeSection

MOST_SECTIONS = 200
MOST_CHARACTERS = 1_000_000

Kept = dict[str, Any]


def briefs_of(sections: Sequence[Section]) -> list[SectionBrief]:
    """A fact group goes only into the narrowest of a document's sections that take it, so that little is told twice.

    Equally narrow sections both have it, and a section that would be left with nothing keeps all of its groups.
    """
    narrowest: dict[tuple[str, str], int] = {}
    for section in sections:
        for group in section.groups:
            taken = (section.wording, group)
            narrowest[taken] = min(len(section.groups), narrowest.get(taken, len(section.groups)))
    return [
        SectionBrief(section.key, _left(section, narrowest) or section.groups, section.wording) for section in sections
    ]


def _left(section: Section, narrowest: Mapping[tuple[str, str], int]) -> tuple[str, ...]:
    width = len(section.groups)
    return tuple(group for group in section.groups if narrowest[section.wording, group] == width)


def written_sections(template: Template, drafts: Sequence[SectionDraft], material: Material) -> list[Kept]:
    """In the template's order, without times; a section about which nothing was said has an empty text."""
    heard: dict[str, Segment | None] = dict.fromkeys(fact.id for fact in material.facts)
    heard |= {segment.id: segment for segment in material.segments}
    written = {draft.key: draft.sentences for draft in drafts}
    return [
        {
            "key": section.key,
            "name": section.name,
            "text": "\n".join(sentence.text for sentence in written.get(section.key, ())),
            "sort": sort,
            "evidence": [_evidence(sentence, heard) for sentence in written.get(section.key, ())],
        }
        for sort, section in enumerate(template.sections)
    ]


def _evidence(sentence: Sentence, heard: Mapping[str, Segment | None]) -> dict[str, Any]:
    """A sentence resting on something that was never given is a bug of the writer: KeyError."""
    evidence: dict[str, Any] = {"text": sentence.text, "segments": list(sentence.evidence)}
    timed = [segment for name in sentence.evidence if (segment := heard[name]) and segment.end > 0]
    if len(timed) == len(sentence.evidence):
        evidence |= {"start": min(s.start for s in timed), "end": max(s.end for s in timed)}
    return evidence


def sections_with_times(document: StoredDocument) -> tuple[Kept, ...]:
    times = {"createdAt": document.created_at.isoformat(), "updatedAt": document.updated_at.isoformat()}
    return tuple({**times, **section} for section in document.sections)


def changed_sections(
    sections: Sequence[Kept], changes: Sequence[ChangeSection], templates: Templates, now: datetime
) -> tuple[Kept, ...]:
    """In the order of `sort`. Raises ApiError 400 when it would be too much."""
    known = {section["key"]: section for section in sections}
    for change in changes:
        section = known.get(change.key) or _added(change.key, list(known.values()), templates, now)
        known[change.key] = _changed(section, change, now)
    if sum(len(section["text"]) for section in known.values()) > MOST_CHARACTERS:
        raise ApiError(400, LIMIT_REACHED, f"a document has at most {MOST_CHARACTERS} characters")
    return tuple(sorted(known.values(), key=lambda section: int(section["sort"])))


def _changed(section: Kept, change: ChangeSection, now: datetime) -> Kept:
    """A text that a person changed no longer rests on what was said."""
    asked = change.model_dump(include={"name", "text", "sort"}, exclude_none=True)
    new = {name: value for name, value in asked.items() if section[name] != value}
    if not new:
        return section
    return {**section, **new, **({"evidence": []} if "text" in new else {}), "updatedAt": now.isoformat()}


def _added(key: str, sections: Sequence[Kept], templates: Templates, now: datetime) -> Kept:
    if len(sections) >= MOST_SECTIONS:
        raise ApiError(400, LIMIT_REACHED, f"a document has at most {MOST_SECTIONS} sections")
    known = templates.section(key)
    return {
        "key": key,
        "name": known.name if known else key,
        "text": "",
        "sort": max((int(section["sort"]) for section in sections), default=-1) + 1,
        "evidence": [],
        "createdAt": now.isoformat(),
        "updatedAt": now.isoformat(),
    }
