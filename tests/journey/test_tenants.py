"""One tenant never sees or touches what another made: every route of the ambient API is tried with another's ids."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import select

from adapters.database import ambient_tables
from adapters.database.database import Database
from service.ambient.app import ambient_router
from service.ambient.rooms import AmbientRooms
from tests.ambient_service import visit
from tests.engines import AUDIO
from tests.journey.guarded_house import CLIENTS, House, house

ITEM = "/interactions/{interaction}"
DOCUMENT = {
    "context": [{"type": "string", "data": "I have had a cough."}],
    "templateKey": "corti-soap",
    "outputLanguage": "en",
}
TABLES = [getattr(ambient_tables, name) for name in ("interactions", "recordings", "transcripts", "documents", "facts")]


@dataclass(frozen=True)
class Case:
    """How a route is called. `own` answers the owner; `other` another tenant, with the owner's ids."""

    own: int = 200
    other: int = 404
    json: Any = None
    content: bytes | None = None


SHARED = {
    "GET /templates": Case(other=200),
    "GET /templates/{key}": Case(other=200),
    "GET /templateSections": Case(other=200),
    "GET /languages": Case(other=200),
    "GET /factgroups": Case(other=200),
    "POST /tools/extract-facts": Case(
        other=200, json={"context": [{"type": "text", "text": "Dry cough."}], "outputLanguage": "en"}
    ),
}
"""What belongs to nobody: the same for every tenant."""

CASES = SHARED | {
    "POST /interactions": Case(201, 201, json=visit()),
    "GET /interactions": Case(200, 200),
    f"GET {ITEM}": Case(),
    f"PATCH {ITEM}": Case(json={"encounter": {"status": "completed"}}),
    f"POST {ITEM}/recordings": Case(201, content=AUDIO),
    f"POST {ITEM}/recording": Case(201, content=AUDIO),
    f"GET {ITEM}/recordings": Case(),
    f"GET {ITEM}/recordings/{{recording}}": Case(),
    f"POST {ITEM}/transcripts": Case(201, json={"recordingId": "{recording}", "primaryLanguage": "en"}),
    f"GET {ITEM}/transcripts": Case(),
    f"GET {ITEM}/transcripts/{{transcript}}": Case(),
    f"GET {ITEM}/transcripts/{{transcript}}/status": Case(),
    f"POST {ITEM}/documents": Case(201, json=DOCUMENT),
    f"GET {ITEM}/documents": Case(),
    f"GET {ITEM}/documents/{{document}}": Case(),
    f"PATCH {ITEM}/documents/{{document}}": Case(json={"name": "changed"}),
    f"GET {ITEM}/facts": Case(),
    f"POST {ITEM}/facts": Case(json={"facts": [{"text": "Dry cough.", "group": "other"}]}),
    f"PATCH {ITEM}/facts": Case(json={"facts": [{"factId": "{fact}", "isDiscarded": True}]}),
    f"PATCH {ITEM}/facts/{{fact}}": Case(json={"isDiscarded": True}),
    f"DELETE {ITEM}/documents/{{document}}": Case(204),
    f"DELETE {ITEM}/transcripts/{{transcript}}": Case(204),
    f"DELETE {ITEM}/recordings/{{recording}}": Case(204),
    f"DELETE {ITEM}": Case(204),
}
"""In an order in which the owner can take every one of them: what deletes comes last."""

SUCCEEDS_FOR_WHAT_IS_NOT_THERE = f"DELETE {ITEM}/recordings/{{recording}}"
"""Of an interaction of one's own, as in the cloud."""


@dataclass
class Owner:
    """A tenant's client, and the ids of what it made."""

    house: House
    headers: dict[str, str]
    ids: dict[str, str]

    async def call(self, route: str, ids: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """`ids` stand in for one's own; `headers` for what is sent otherwise."""
        method, template = route.split()
        case, known = CASES[route], {"key": "corti-soap", **(ids or self.ids)}
        body = _filled(case.json, known)
        sent = {**self.headers, **headers}
        return await self.house.http.request(
            method, "v2" + template.format(**known), json=body, content=case.content, headers=sent
        )

    async def make(self, name: str, route: str, *keys: str | int) -> None:
        """`keys` lead to the id in the answer."""
        answered = await self.call(route)
        assert answered.status_code == CASES[route].own, (route, answered.text)
        self.ids[name] = reduce(getitem, keys, answered.json())


def _filled(body: Any, ids: dict[str, str]) -> Any:
    """With the ids that its strings name, and another identifier at each call."""
    if body is CASES["POST /interactions"].json:
        return visit()
    if isinstance(body, dict):
        return {name: _filled(value, ids) for name, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, ids) for value in body]
    named = re.fullmatch(r"\{(\w+)\}", body) if isinstance(body, str) else None
    return ids[named[1]] if named else body


async def an_owner(guarded: House, client: str, secret: str, tenant: str) -> Owner:
    headers = {"Authorization": f"Bearer {await guarded.token(client, secret, tenant)}", "Tenant-Name": tenant}
    owner = Owner(guarded, headers, {})
    await owner.make("interaction", "POST /interactions", "interactionId")
    await owner.make("recording", f"POST {ITEM}/recordings", "recordingId")
    await owner.make("transcript", f"POST {ITEM}/transcripts", "id")
    await owner.make("document", f"POST {ITEM}/documents", "id")
    await owner.make("fact", f"POST {ITEM}/facts", "facts", 0, "id")
    return owner


@pytest.fixture
async def guarded(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with house(database, tmp_path, CLIENTS) as guarded:
        yield guarded


@pytest.fixture
async def owner(guarded: House) -> Owner:
    return await an_owner(guarded, "recorder", "s3cret", "base")


@pytest.fixture
async def other(guarded: House) -> Owner:
    return await an_owner(guarded, "clinic", "other", "clinic")


async def kept(database: Database, guarded: House, owner: Owner) -> list[Any]:
    """Every row of the owner, and its audio."""
    async with database.reading() as connection:
        rows = [
            [
                row
                for row in (await connection.execute(select(table).order_by(table.c.id))).mappings()
                if owner.ids["interaction"] in (row.get("interaction_id"), row["id"])
            ]
            for table in TABLES
        ]
    return [*rows, [file.read_bytes() for file in sorted(guarded.service.blobs_kept())]]


def routes() -> set[str]:
    """Of the router itself, each once for its forms with and without a trailing slash."""
    contexts = iter_route_contexts(ambient_router(cast(AmbientRooms, None)).routes)
    return {f"{method} {(one.path or '').rstrip('/')}" for one in contexts for method in one.methods or ()}


def test_every_route_has_its_case() -> None:
    assert sorted(routes() - set(CASES)) == [], "routes without a case in CASES"
    assert sorted(set(CASES) - routes()) == [], "cases of routes that are not there"


async def test_with_its_own_ids_a_tenant_can_use_every_route(owner: Owner) -> None:
    for route, case in CASES.items():
        answered = await owner.call(route)
        assert answered.status_code == case.own, (route, answered.text)


async def test_with_another_tenants_ids_no_route_finds_shows_or_changes_anything(
    database: Database, guarded: House, owner: Owner, other: Owner
) -> None:
    before = await kept(database, guarded, owner)
    assert [len(rows) for rows in before] == [1, 1, 1, 1, 1, 2]
    for route, case in CASES.items():
        answered = await other.call(route, owner.ids)
        assert answered.status_code == case.other, (route, answered.text)
        assert not any(ident in answered.text for ident in owner.ids.values()), route
    assert await kept(database, guarded, owner) == before


async def test_another_tenants_parts_are_not_found_below_an_interaction_of_ones_own(
    database: Database, guarded: House, owner: Owner, other: Owner
) -> None:
    before = await kept(database, guarded, owner)
    mixed = {**owner.ids, "interaction": other.ids["interaction"]}
    tried = [
        route for route in CASES if re.search(r"\{(recording|transcript|document|fact)\}", str((route, CASES[route])))
    ]
    assert len(tried) > 8
    for route in tried:
        answered = await other.call(route, mixed)
        expected = 204 if route == SUCCEEDS_FOR_WHAT_IS_NOT_THERE else 404
        assert answered.status_code == expected, (route, answered.text)
    assert await kept(database, guarded, owner) == before


async def test_naming_another_tenant_or_none_opens_no_route(
    database: Database, guarded: House, owner: Owner, other: Owner
) -> None:
    before = await kept(database, guarded, owner)
    for route in CASES:
        assert (await other.call(route, owner.ids, **{"Tenant-Name": "base"})).status_code == 403, route
        assert (await other.call(route, owner.ids, **{"Tenant-Name": ""})).status_code == 403, route
        assert (await other.call(route, owner.ids, Authorization="")).status_code == 401, route
    assert await kept(database, guarded, owner) == before


async def test_shared_resources_are_the_same_for_all(owner: Owner, other: Owner) -> None:
    for route in SHARED:
        assert (await owner.call(route)).json() == (await other.call(route)).json(), route


async def test_a_list_holds_ones_own_alone(owner: Owner, other: Owner) -> None:
    for one in (owner, other):
        listed = (await one.call("GET /interactions")).json()["interactions"]
        assert [UUID(found["id"]) for found in listed] == [UUID(one.ids["interaction"])]


async def test_two_tenants_may_have_the_same_identifier(guarded: House, owner: Owner, other: Owner) -> None:
    same = visit()
    for one in (owner, other):
        made = await guarded.http.post("v2/interactions/", json=same, headers=one.headers)
        assert made.status_code == 201
