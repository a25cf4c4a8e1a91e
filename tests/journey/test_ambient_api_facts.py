"""Facts: what a caller has established, kept for it and sorted into groups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.database.database import Database
from service.ambient.fact_groups import FACT_GROUPS
from tests.ambient_service import AmbientService, ambient_service

COUGH = {"text": "Dry cough for ten days", "group": "history-of-present-illness"}
ALLERGY = {"text": "Allergic to penicillin", "group": "Allergies", "source": "core"}


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[AmbientService]:
    async with ambient_service(database, tmp_path / "blobs") as service:
        yield service


@pytest.fixture
async def facts(service: AmbientService) -> str:
    """The path of an interaction's facts."""
    return f"interactions/{await service.interaction()}/facts/"


async def created(service: AmbientService, facts: str, *texts: dict[str, Any]) -> list[dict[str, Any]]:
    response = await service.http.post(facts, json={"facts": list(texts)})
    assert response.status_code == 200, response.text
    kept: list[dict[str, Any]] = response.json()["facts"]
    return kept


async def test_facts_are_given_back_in_their_order_with_every_key_of_the_wire(
    service: AmbientService, facts: str
) -> None:
    made = await created(service, facts, COUGH, ALLERGY)
    listed = (await service.http.get(facts)).json()["facts"]
    assert listed == made
    assert [fact["text"] for fact in listed] == ["Dry cough for ten days", "Allergic to penicillin"]
    assert [fact["group"] for fact in listed] == ["history-of-present-illness", "allergies"]
    assert [fact["source"] for fact in listed] == ["user", "core"]
    for fact in listed:
        assert (fact["isDiscarded"], fact["evidence"]) == (False, [])
        assert all(fact[key] for key in ("id", "groupId", "createdAt", "updatedAt"))


async def test_a_fact_can_be_changed_and_discarded(service: AmbientService, facts: str) -> None:
    first, second = await created(service, facts, COUGH, ALLERGY)
    changed = await service.http.patch(f"{facts}{first['id']}", json={"isDiscarded": True, "group": "other"})
    assert changed.status_code == 200
    assert changed.json()["updatedAt"] > first["updatedAt"]
    assert changed.json() | {"updatedAt": ""} == first | {
        "isDiscarded": True, "group": "other", "groupId": changed.json()["groupId"], "updatedAt": "",
    }  # fmt: skip
    assert (await service.http.get(facts)).json()["facts"] == [changed.json(), second]


@pytest.mark.parametrize("change", [{}, {"text": None, "group": None}, {"text": "Dry cough for ten days"}])
async def test_a_change_that_changes_nothing_leaves_the_fact_as_it_is(
    service: AmbientService, facts: str, change: dict[str, Any]
) -> None:
    (fact,) = await created(service, facts, COUGH)
    assert (await service.http.patch(f"{facts}{fact['id']}", json=change)).json() == fact


async def test_several_facts_are_changed_together(service: AmbientService, facts: str) -> None:
    first, second = await created(service, facts, COUGH, ALLERGY)
    asked = [{"factId": second["id"], "text": "No allergies"}, {"factId": first["id"], "isDiscarded": True}]
    response = await service.http.patch(facts, json={"facts": asked})
    assert [(fact["text"], fact["isDiscarded"]) for fact in response.json()["facts"]] == [
        ("No allergies", False), ("Dry cough for ten days", True),
    ]  # fmt: skip


async def test_with_one_unknown_fact_none_is_changed(service: AmbientService, facts: str) -> None:
    (fact,) = await created(service, facts, COUGH)
    asked = [{"factId": fact["id"], "text": "changed"}, {"factId": str(uuid4()), "text": "changed"}]
    refused = await service.http.patch(facts, json={"facts": asked})
    assert (refused.status_code, refused.json()["type"]) == (404, "A0020")
    assert (await service.http.get(facts)).json()["facts"] == [fact]


async def test_with_one_unknown_group_no_fact_is_kept(service: AmbientService, facts: str) -> None:
    refused = await service.http.post(facts, json={"facts": [COUGH, {"text": "x", "group": "weather"}]})
    assert (refused.status_code, refused.json()["type"]) == (404, "A0019")
    assert (await service.http.get(facts)).json() == {"facts": []}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"facts": None},
        {"facts": [{"text": "x"}]},
        {"facts": [{"text": "", "group": "other"}]},
        {"facts": [{"text": "x", "group": "other", "source": "nobody"}]},
        {"facts": [COUGH] * 1001},
    ],
)
async def test_facts_that_are_not_valid_are_refused(service: AmbientService, facts: str, body: Any) -> None:
    refused = await service.http.post(facts, json=body)
    assert (refused.status_code, refused.json()["type"]) == (400, "A0003")


async def test_a_fact_named_twice_in_one_change_is_refused(service: AmbientService, facts: str) -> None:
    (fact,) = await created(service, facts, COUGH)
    refused = await service.http.patch(facts, json={"facts": [{"factId": fact["id"]}] * 2})
    assert refused.status_code == 400


@pytest.mark.parametrize(("fact", "status"), [("no-uuid", 400), (str(uuid4()), 404)], ids=["malformed", "unknown"])
async def test_a_fact_that_is_not_there_cannot_be_changed(
    service: AmbientService, facts: str, fact: str, status: int
) -> None:
    assert (await service.http.patch(facts + fact, json={"text": "x"})).status_code == status


async def test_a_fact_of_another_interaction_cannot_be_changed(service: AmbientService, facts: str) -> None:
    (fact,) = await created(service, facts, COUGH)
    other = f"interactions/{await service.interaction()}/facts/"
    assert (await service.http.patch(other + fact["id"], json={"text": "x"})).status_code == 404
    assert (await service.http.get(facts)).json()["facts"] == [fact]


async def test_facts_go_with_their_interaction(service: AmbientService, facts: str) -> None:
    await created(service, facts, COUGH)
    await service.http.delete(facts.removesuffix("facts/"))
    assert (await service.http.get(facts)).status_code == 404


async def test_the_groups_are_listed_by_key_with_their_names(service: AmbientService) -> None:
    groups = (await service.http.get("factgroups/")).json()["data"]
    assert [group["key"] for group in groups] == list(FACT_GROUPS)
    assert groups[8]["translations"] == [{"id": 1, "languages_id": "en", "name": "Allergies"}]


async def test_facts_are_found_in_plain_text_and_nothing_is_kept(service: AmbientService, facts: str) -> None:
    asked = {"context": [{"type": "text", "text": "I have a cough.\n\nIt is dry."}], "outputLanguage": "en-GB"}
    found = await service.http.post("tools/extract-facts", json=asked)
    assert found.status_code == 200
    texts = {fact["text"]: fact["group"] for fact in found.json()["facts"]}
    assert texts == {"I have a cough.": "history-of-present-illness", "It is dry.": "history-of-present-illness"}
    assert all(fact["value"] == fact["text"] for fact in found.json()["facts"])
    assert (await service.http.get(facts)).json() == {"facts": []}


async def test_a_fact_that_is_found_may_be_as_long_as_the_text(service: AmbientService) -> None:
    asked = {"context": [{"type": "text", "text": "I take lisinopril " * 700}], "outputLanguage": "en"}
    found = await service.http.post("tools/extract-facts", json=asked)
    assert (found.status_code, len(found.json()["facts"][0]["text"])) == (200, 12_600)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"outputLanguage": "da"}, "A0018"),
        ({"context": []}, "A0003"),
        ({"context": [{"type": "text", "text": "a\n" * 10_001}]}, "A0016"),
        ({"context": [{"type": "transcript", "text": "a"}]}, "A0003"),
    ],
)
async def test_text_that_facts_cannot_be_found_in_is_refused(
    service: AmbientService, change: dict[str, Any], kind: str
) -> None:
    asked = {"context": [{"type": "text", "text": "I have a cough."}], "outputLanguage": "en", **change}
    refused = await service.http.post("tools/extract-facts", json=asked)
    assert (refused.status_code, refused.json()["type"]) == (400, kind)
