"""Facts: what a caller has established about an interaction. A document is written from those that its request names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated
from uuid import NAMESPACE_URL, uuid4, uuid5

from fastapi import Depends

from service.ambient.errors import BAD_REQUEST, NO_FACT, NO_FACT_GROUP, ApiError
from service.ambient.fact_groups import FACT_GROUPS, group_key
from service.ambient.rooms import FactId, KnownInteraction, Rooms, no_interaction
from service.ambient.routing import Described, described, json_body
from service.ambient.store import StoredFact
from service.ambient.wire.facts import (
    ChangeFact,
    ChangeFacts,
    CreateFacts,
    FactGroup,
    FactGroupList,
    FactList,
    FactResponse,
    GroupName,
    NewFact,
)

router = Described(tags=["facts"])

_ENGLISH = 1


@router.get("/factgroups/")
async def list_fact_groups() -> FactGroupList:
    """The groups that facts are sorted into, in English."""
    groups = [
        FactGroup(id=_group_id(key), key=key, translations=[GroupName(id=_ENGLISH, languages_id="en", name=name)])
        for key, name in FACT_GROUPS.items()
    ]
    return FactGroupList(data=groups)


@router.get("/interactions/{interaction}/facts/")
async def list_facts(rooms: Rooms, found: KnownInteraction) -> FactList:
    """All of them, discarded ones too."""
    return FactList(facts=[_shown(fact) for fact in await rooms.store.list_facts(found.id)])


@router.post("/interactions/{interaction}/facts/", openapi_extra=described(CreateFacts))
async def create_facts(
    rooms: Rooms, found: KnownInteraction, asked: Annotated[CreateFacts, Depends(json_body(CreateFacts))]
) -> FactList:
    """All or none are kept. Facts are passed on to a document as its context, never taken from here by themselves."""
    now = datetime.now(UTC)
    # a microsecond apart, so that they stay in the order of the request
    facts = [_new(found.id, fact, now + timedelta(microseconds=place)) for place, fact in enumerate(asked.facts)]
    if facts and not await rooms.store.add_facts(facts):
        raise no_interaction()
    return FactList(facts=[_shown(fact) for fact in facts])


@router.patch("/interactions/{interaction}/facts/", openapi_extra=described(ChangeFacts))
async def change_facts(
    rooms: Rooms, found: KnownInteraction, asked: Annotated[ChangeFacts, Depends(json_body(ChangeFacts))]
) -> FactList:
    """All or none are changed."""
    changes = {fact.fact_id: _change(fact) for fact in asked.facts}
    if len(changes) != len(asked.facts):
        raise ApiError(400, BAD_REQUEST, "a fact is named twice")
    changed = await rooms.store.change_facts(found.id, changes)
    if changed is None:
        raise _no_fact()
    return FactList(facts=[_shown(fact) for fact in changed])


@router.patch("/interactions/{interaction}/facts/{fact}", openapi_extra=described(ChangeFact))
async def change_fact(
    rooms: Rooms,
    found: KnownInteraction,
    fact: FactId,
    asked: Annotated[ChangeFact, Depends(json_body(ChangeFact))],
) -> FactResponse:
    """An empty object changes nothing."""
    changed = await rooms.store.change_facts(found.id, {fact: _change(asked)})
    if changed is None:
        raise _no_fact()
    return _shown(changed[0])


def _new(interaction: str, asked: NewFact, now: datetime) -> StoredFact:
    return StoredFact(
        id=str(uuid4()),
        interaction_id=interaction,
        text=asked.text,
        group=_known(asked.group),
        source=asked.source or "user",
        discarded=False,
        created_at=now,
        updated_at=now,
    )


def _change(asked: ChangeFact) -> Callable[[StoredFact], StoredFact]:
    wanted = {
        "text": asked.text,
        "group": None if asked.group is None else _known(asked.group),
        "source": asked.source,
        "discarded": asked.is_discarded,
    }
    return partial(_changed, {name: value for name, value in wanted.items() if value is not None}, datetime.now(UTC))


def _changed(wanted: dict[str, object], now: datetime, known: StoredFact) -> StoredFact:
    changed = replace(known, **wanted)  # type: ignore[arg-type]
    return known if changed == known else replace(changed, updated_at=now)


def _shown(fact: StoredFact) -> FactResponse:
    return FactResponse(
        id=fact.id,
        text=fact.text,
        group=fact.group,
        group_id=_group_id(fact.group),
        source=fact.source,
        is_discarded=fact.discarded,
        created_at=fact.created_at,
        updated_at=fact.updated_at,
    )


def _known(group: str) -> str:
    key = group_key(group)
    if key is None:
        raise ApiError(404, NO_FACT_GROUP, "fact group not found")
    return key


def _group_id(key: str) -> str:
    """The same everywhere and for ever."""
    return str(uuid5(NAMESPACE_URL, f"urn:ambient-fhir:fact-group:{key}"))


def _no_fact() -> ApiError:
    return ApiError(404, NO_FACT, "fact not found")
