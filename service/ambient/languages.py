"""Languages that can be heard. Those that a document can be written in are named by its template."""

from __future__ import annotations

import asyncio
from itertools import product
from string import ascii_lowercase
from typing import Annotated, Literal

from fastapi import Query

from service.ambient.ports import Transcriber
from service.ambient.rooms import Rooms
from service.ambient.routing import Described
from service.ambient.wire.languages import Endpoints, Language, LanguageList, Offered

router = Described(tags=["languages"])

# every primary subtag that two letters can make, and the regional tags that the wire's own list has
_TAGS = sorted(["".join(pair) for pair in product(ascii_lowercase, repeat=2)] + ["de-CH", "en-GB", "en-US", "fr-CH"])
_HEARD = Language(
    endpoints=Endpoints(
        streams=Offered(enabled=False), transcribe=Offered(enabled=False), transcripts=Offered(enabled=True)
    )
)


@router.get("/languages/", summary="List the languages that can be heard")
async def list_languages(
    rooms: Rooms,
    endpoint: Annotated[
        Literal["transcripts", "transcribe", "streams"] | None,
        Query(description="only languages that this endpoint understands; `transcribe` and `streams` give none"),
    ] = None,
) -> LanguageList:
    """What the configured recogniser understands, each with the endpoints that take it.

    Real-time endpoints are not offered here. The languages of documents are the `translations` of their templates.
    """
    if endpoint in ("transcribe", "streams"):
        return LanguageList(languages={})
    return LanguageList(languages=dict.fromkeys(await asyncio.to_thread(_heard, rooms.transcriber), _HEARD))


def _heard(transcriber: Transcriber) -> list[str]:
    """The first question may read files of the model."""
    return [tag for tag in _TAGS if transcriber.supports(tag)]
