"""Facts found in plain text, without an interaction: what the writer would put into a note, group by group."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends

from service.ambient.document_context import lines_of
from service.ambient.errors import BAD_LANGUAGE, ApiError
from service.ambient.fact_groups import FACT_GROUPS
from service.ambient.ports import NoteWriter, SectionBrief, SectionDraft
from service.ambient.rooms import Rooms
from service.ambient.routing import Described, described, json_body
from service.ambient.wire.facts import ExtractedFact, ExtractedFacts, ExtractFacts, PlainText

router = Described(tags=["facts"])

_BRIEFS = [SectionBrief(group, (group,)) for group in FACT_GROUPS]


@router.post("/tools/extract-facts", openapi_extra=described(ExtractFacts))
async def extract_facts(
    rooms: Rooms, asked: Annotated[ExtractFacts, Depends(json_body(ExtractFacts))]
) -> ExtractedFacts:
    """Nothing is stored. Nobody knows who said the words of a plain text: they are quoted."""
    if asked.output_language.partition("-")[0].lower() != "en":
        raise ApiError(400, BAD_LANGUAGE, "outputLanguage is not supported")
    drafts = await asyncio.to_thread(_drafted, rooms.writer, asked.context)
    facts = [
        ExtractedFact(group=draft.key, text=sentence.text, value=sentence.text)
        for draft in drafts
        for sentence in draft.sentences
    ]
    return ExtractedFacts(facts=facts, output_language=asked.output_language)


def _drafted(writer: NoteWriter, context: Sequence[PlainText]) -> list[SectionDraft]:
    return writer.write(_BRIEFS, lines_of(item.text for item in context))
