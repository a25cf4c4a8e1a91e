"""Searches of several pages: all of them are read, or none is taken for the whole."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.errors import NeedsPerson, Retryable
from tests.unit.test_ehr_client import BASE, answering, client_of


def page(*notes: str, next_page: str | None = None) -> dict[str, Any]:
    entries = [{"resource": {"resourceType": "DocumentReference", "id": note}} for note in notes]
    links = [{"relation": "next", "url": next_page}] if next_page else []
    return {"resourceType": "Bundle", "entry": entries, "link": links}


@pytest.mark.parametrize(
    "second", [f"{BASE}/DocumentReference?page=2", f"{BASE}?_getpages=2", "DocumentReference?page=2", BASE.replace("https://", "http://") + "?page=2"]
)  # fmt: skip
async def test_a_search_goes_on_to_the_next_page(second: str) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=page("d2") if len(asked) > 1 else page("d1", next_page=second))

    found = await client_of(answer).search("DocumentReference", {"patient": "Patient/p1"})
    assert [note["id"] for note in found] == ["d1", "d2"]
    assert asked[1].startswith(BASE)
    assert "2" in asked[1].rpartition("=")[2]


@pytest.mark.parametrize("second", ["https://elsewhere.test/DocumentReference?page=2", f"{BASE}x?page=2"])
async def test_a_search_that_goes_on_elsewhere_is_not_taken_for_whole(second: str) -> None:
    with pytest.raises(NeedsPerson, match="ehr_search_incomplete"):
        await answering(200, json=page("d1", next_page=second)).search("DocumentReference", {})


async def test_a_search_without_end_is_not_taken_for_whole() -> None:
    for many in ([f"d{n}" for n in range(100)], []):
        again = page(*many, next_page=f"{BASE}/DocumentReference?page=2")
        with pytest.raises(NeedsPerson, match="ehr_search_incomplete"):
            await answering(200, json=again).search("DocumentReference", {})


async def test_what_an_ehr_said_of_itself_holds_until_it_says_more() -> None:
    answers = [httpx.Response(200, json={"fhirVersion": "4.0.1"}), httpx.Response(500)]
    client = client_of(lambda _: answers.pop(0))
    assert (await client.capabilities()).fhir_version == "4.0.1"
    client._capable_until = 0.0
    assert (await client.capabilities()).fhir_version == "4.0.1"
    assert not answers


async def test_an_ehr_that_never_said_what_it_can_is_waited_for() -> None:
    with pytest.raises(Retryable):
        await answering(500).capabilities()
    assert (await answering(404).capabilities()).can("update", "DocumentReference") is None
