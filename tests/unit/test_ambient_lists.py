"""What the client lists, finds and deletes at a remote engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.errors import NeedsPerson
from tests.unit.test_ambient_client import PRIVATE, client_of


class Interactions:
    """A list of interactions in pages of at most `size`; `meanwhile` is called after each page."""

    def __init__(self, ids: list[str], size: int, meanwhile: Callable[[list[str]], object] = lambda _: None) -> None:
        self.ids, self.size, self.meanwhile = ids, size, meanwhile

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        assert (query["sort"], query["direction"], query["patient"]) == ("createdAt", "asc", "Patient/p1")
        size = min(int(query["pageSize"]), self.size)
        page = self.ids[size * (int(query["index"]) - 1) :][:size]
        listed = [{"id": ident, "encounter": {"identifier": ident.rstrip("0123456789")}} for ident in page]
        self.meanwhile(self.ids)
        return httpx.Response(200, json={"interactions": listed})


async def find(interactions: Callable[[httpx.Request], httpx.Response]) -> list[str]:
    return await client_of(interactions).find_interactions(identifier="ours", patient="Patient/p1")


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_every_interaction_of_a_visit_is_found_oldest_first(size: int) -> None:
    ids = ["other1", "ours1", "other2", "ours2", "ours3"]
    assert await find(Interactions(ids, size)) == ["ours1", "ours2", "ours3"]
    found = client_of(Interactions(ids, size)).find_interaction
    assert await found(identifier="ours", patient="Patient/p1") == "ours1"
    assert await found(identifier="nobodys", patient="Patient/p1") is None


async def test_an_interaction_that_is_pushed_to_the_next_page_is_found_once() -> None:
    ids = ["ours1", "ours2", "ours3", "ours4"]
    pushed = Interactions(ids, 2, lambda ids: len(ids) < 5 and ids.insert(0, "other1"))
    assert await find(pushed) == ["ours1", "ours2", "ours3", "ours4"]


async def test_a_list_without_pages_ends() -> None:
    def always(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"interactions": [{"id": "a", "encounter": {"identifier": "ours"}}]})

    assert await find(always) == ["a"]


LISTS = [
    ("recordings", ["a", "b"]),
    ("transcripts", [{"id": "a"}, {"id": "b"}]),
    ("documents", [{"id": "a"}, {"id": "b"}]),
]


@pytest.mark.parametrize(("kind", "listed"), LISTS)
async def test_what_an_interaction_has_is_listed_and_deleted(kind: str, listed: list[Any]) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        if request.method == "DELETE":
            return httpx.Response(204)
        return httpx.Response(200, json={"data" if kind == "documents" else kind: listed})

    client = client_of(answer)
    assert await getattr(client, f"list_{kind}")("i") == ["a", "b"]
    await getattr(client, f"delete_{kind[:-1]}")("i", "a")
    await client.delete_interaction("i")
    assert asked == [
        f"GET /v2/interactions/i/{kind}/",
        f"DELETE /v2/interactions/i/{kind}/a",
        "DELETE /v2/interactions/i",
    ]


@pytest.mark.parametrize(("kind", "_"), LISTS)
async def test_what_is_not_there_has_nothing_and_is_deleted_already(kind: str, _: object) -> None:
    client = client_of(lambda _: httpx.Response(404, json=PRIVATE))
    assert await getattr(client, f"list_{kind}")("i") == []
    await getattr(client, f"delete_{kind[:-1]}")("i", "a")
    await client.delete_interaction("i")
    with pytest.raises(NeedsPerson, match="status 403"):
        await client_of(lambda _: httpx.Response(403)).delete_interaction("i")
