"""Documents: from every context, by key or by a template put together, changed, kept or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.database.database import Database
from service.ambient.store import StoredDocument
from tests.ambient_service import AmbientService, ambient_service

PATIENT = {
    "type": "transcript",
    "data": {"text": "I have a cough.", "role": "patient", "id": "s1", "start": 1, "end": 9},
}
DOCTOR = {"type": "transcript", "data": {"text": "Rest.", "role": "doctor"}}
SOAP = {"context": [PATIENT, DOCTOR], "templateKey": "corti-soap", "outputLanguage": "en"}
KEYS = ["corti-subjective", "corti-objective", "corti-assessment", "corti-plan"]
OLD = datetime(2026, 1, 1, 9, tzinfo=UTC)

Json = dict[str, Any]


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[AmbientService]:
    async with ambient_service(database, tmp_path / "blobs") as service:
        yield service


@pytest.fixture
async def path(service: AmbientService) -> str:
    return f"interactions/{await service.interaction()}/documents/"


async def written(service: AmbientService, path: str, **changes: Any) -> Json:
    asked = {name: value for name, value in {**SOAP, **changes}.items() if value is not None}
    response = await service.http.post(path, json=asked)
    assert response.status_code == 201, response.text
    document: Json = response.json()
    assert (await service.http.get(path + document["id"])).json() == document
    return document


async def patched(service: AmbientService, path: str, document: Json, **changes: Any) -> Json:
    response = await service.http.patch(path + document["id"], json=changes)
    assert response.status_code == 200, response.text
    changed: Json = response.json()
    assert (await service.http.get(path + document["id"])).json() == changed
    return changed


def texts(document: Json) -> Json:
    return {section["key"]: section["text"] for section in document["sections"] if section["text"]}


async def test_every_sentence_names_what_it_rests_on(service: AmbientService, path: str) -> None:
    document = await written(service, path)
    assert [section["key"] for section in document["sections"]] == KEYS
    assert [section["evidence"] for section in document["sections"]] == [
        [{"text": "I have a cough.", "segments": ["s1"], "start": 1, "end": 9}],
        [],
        [],
        [{"text": "Rest.", "segments": ["c1"]}],
    ]
    assert {section["createdAt"] for section in document["sections"]} == {document["createdAt"]}
    assert (document["name"], document["templateRef"], document["isStream"]) == ("SOAP note", "corti-soap", False)


async def test_given_facts_go_into_the_sections_of_their_groups(service: AmbientService, path: str) -> None:
    facts = [
        {"text": "Cough.", "group": "history-of-present-illness", "source": "core"},
        {"text": "Amoxicillin.", "group": "Plan"},
        {"text": "Likes tea.", "group": "hobbies"},
        {"text": "Pulse 80.", "group": "vital-signs"},
    ]
    document = await written(service, path, context=[{"type": "facts", "data": facts}])
    assert texts(document) == {
        "corti-subjective": "Cough.\nLikes tea.",
        "corti-objective": "Pulse 80.",
        "corti-plan": "Amoxicillin.",
    }
    assert document["sections"][3]["evidence"] == [{"text": "Amoxicillin.", "segments": ["c1"]}]


async def test_plain_text_is_a_context_too(service: AmbientService, path: str) -> None:
    document = await written(service, path, context=[{"type": "string", "data": "I cough.\nAt night."}])
    assert texts(document) == {"corti-subjective": "I cough.\nAt night."}
    assert [sentence["segments"] for sentence in document["sections"][0]["evidence"]] == [["c0"], ["c1"]]


@pytest.mark.parametrize("data", [[], [{"text": "Off.", "group": "plan", "isDiscarded": True}]])
async def test_a_document_of_nothing_is_empty_and_unknown_names_are_ignored(
    service: AmbientService, path: str, data: list[Json]
) -> None:
    document = await written(service, path, context=[{"type": "facts", "data": data}])
    assert set(texts(document)) == ({"corti-plan"} if data else set())


async def test_a_template_may_be_put_together_of_section_keys(service: AmbientService, path: str) -> None:
    wished = {"sectionKeys": ["corti-plan", "corti-hpi"], "documentName": "Letter", "additionalInstructions": "Brief."}
    document = await written(service, path, templateKey=None, template=wished)
    assert [(section["key"], section["sort"]) for section in document["sections"]] == [
        ("corti-plan", 0), ("corti-hpi", 1),
    ]  # fmt: skip
    assert texts(document) == {"corti-plan": "Rest.", "corti-hpi": "I have a cough."}
    assert document["name"] == "Letter"


async def test_a_template_may_be_put_together_of_sections_with_names_of_their_own(
    service: AmbientService, path: str
) -> None:
    overrides = dict.fromkeys(
        ("writingStyleOverride", "formatRuleOverride", "additionalInstructionsOverride", "contentOverride"), "Tersely."
    )
    sections = [{"key": "corti-plan", "nameOverride": "Next steps", **overrides}, {"key": "corti-allergies"}]
    wished = {"sections": sections, "description": "A letter", "additionalInstructionsOverride": "Kindly."}
    document = await written(service, path, templateKey=None, template=wished)
    assert [section["name"] for section in document["sections"]] == ["Next steps", "Allergies"]
    assert texts(document) == {"corti-plan": "Rest."}
    named = await written(service, path, templateKey=None, template=wished, name="Mine")
    assert (document["name"], named["name"]) == ("Document", "Mine")


async def test_the_reference_of_a_template_put_together_is_the_same_for_the_same_sections(
    service: AmbientService, path: str
) -> None:
    async def reference(template: Json) -> str:
        document = await written(service, path, templateKey=None, template=template)
        return str(document["templateRef"])

    first = await reference({"sectionKeys": ["corti-plan"]})
    assert first.startswith("dynamic:")
    assert first == await reference({"sections": [{"key": "corti-plan", "nameOverride": "Next"}], "documentName": "x"})
    assert first != await reference({"sectionKeys": ["corti-hpi"]})


async def test_the_key_wins_over_a_template_put_together(service: AmbientService, path: str) -> None:
    wished = {"sectionKeys": ["unknown"], "documentName": "Letter"}
    document = await written(service, path, template=wished)
    assert (document["templateRef"], document["name"]) == ("corti-soap", "SOAP note")


async def test_options_that_the_writer_does_not_need_are_taken(service: AmbientService, path: str) -> None:
    plain = await written(service, path)
    with_options = await written(service, path, disableGuardrails=True, documentationMode="routed_parallel")
    assert texts(with_options) == texts(plain)


DYNAMIC = {"templateKey": None}


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"context": []}, 400, "A0003"),
        ({"context": None}, 400, "A0003"),
        ({"context": [{"type": "song", "data": "la"}]}, 400, "A0003"),
        ({"context": [{"type": "transcript", "data": [{"text": "a"}]}]}, 400, "A0003"),
        ({"context": [{"type": "transcript", "data": {"text": "a\x00b"}}]}, 400, "A0003"),
        ({"context": [{"type": "transcript", "data": {"text": "a", "start": 10**30}}]}, 400, "A0003"),
        ({"context": [PATIENT, {"type": "string", "data": "a"}]}, 400, "A0015"),
        ({"context": [{"type": "facts", "data": [{"text": "a", "source": "rumour"}]}]}, 400, "A0003"),
        ({"templateKey": "unknown"}, 404, "about:blank"),
        (DYNAMIC, 400, "A0003"),
        ({**DYNAMIC, "template": {}}, 400, "A0003"),
        ({**DYNAMIC, "template": {"sections": []}}, 400, "A0003"),
        ({**DYNAMIC, "template": {"sectionKeys": []}}, 400, "A0003"),
        ({**DYNAMIC, "template": {"sectionKeys": ["corti-plan"], "sections": [{"key": "corti-plan"}]}}, 400, "A0003"),
        ({**DYNAMIC, "template": {"sectionKeys": ["corti-plan", "corti-plan"]}}, 400, "A0003"),
        ({**DYNAMIC, "template": {"sectionKeys": ["corti-plan", "unknown"]}}, 404, "A0014"),
        ({**DYNAMIC, "template": {"sections": [{"key": "unknown"}]}}, 404, "A0014"),
        ({**DYNAMIC, "template": {"sectionKeys": ["corti-plan"]}, "outputLanguage": "da"}, 400, "A0018"),
        ({"outputLanguage": "da"}, 400, "A0018"),
        ({"outputLanguage": None}, 400, "A0003"),
        ({"name": "n" * 256}, 400, "A0003"),
        ({"disableGuardrails": "yes"}, 400, "A0003"),
        ({"documentationMode": "sideways"}, 400, "A0003"),
    ],
)
async def test_a_document_that_cannot_be_written_is_refused_and_not_kept(
    service: AmbientService, path: str, changes: Json, status: int, kind: str
) -> None:
    response = await service.http.post(path, json={**SOAP, **changes})
    assert (response.status_code, response.json()["type"]) == (status, kind)
    assert (await service.http.get(path)).json() == {"data": []}


@pytest.mark.parametrize(("policy", "kept"), [("none", 0), ("None", 0), ("retain", 1)])
async def test_a_document_that_must_not_be_retained_is_answered_and_not_stored(
    service: AmbientService, path: str, policy: str, kept: int
) -> None:
    created = await service.http.post(path, json=SOAP, headers={"X-Corti-Retention-Policy": policy})
    assert texts(created.json()) == {"corti-subjective": "I have a cough.", "corti-plan": "Rest."}
    assert created.headers.get("X-Corti-Retention-Policy") == (None if kept else "acknowledged")
    assert len((await service.http.get(path)).json()["data"]) == kept


async def test_a_document_does_not_grow_without_end(service: AmbientService, path: str) -> None:
    document = await written(service, path)
    long = [{"key": f"more-{number}", "text": "a" * 100_000} for number in range(10)]
    refused = await service.http.patch(path + document["id"], json={"sections": long})
    assert (refused.status_code, refused.json()["type"]) == (400, "A0016")
    assert (await service.http.get(path + document["id"])).json() == document


async def test_documents_are_listed_oldest_first(service: AmbientService, path: str) -> None:
    made = [await written(service, path, name=name) for name in ("a", "b", "c")]
    assert (await service.http.get(path)).json() == {"data": made}


async def test_a_text_that_a_person_changes_rests_on_nothing_that_was_said(service: AmbientService, path: str) -> None:
    before = await written(service, path)
    after = await patched(service, path, before, sections=[{"key": "corti-plan", "text": "Rest for two days."}])
    plan = after["sections"][3]
    assert (plan["text"], plan["evidence"], plan["name"]) == ("Rest for two days.", [], "Plan")
    assert plan["updatedAt"] == after["updatedAt"] > before["updatedAt"] == plan["createdAt"]
    assert after["sections"][:3] == before["sections"][:3]
    assert after["createdAt"] == before["createdAt"]


async def test_a_new_name_or_place_keeps_the_evidence(service: AmbientService, path: str) -> None:
    before = await written(service, path)
    changes = [{"key": "corti-subjective", "name": "Story", "sort": 9}]
    after = await patched(service, path, before, name="Visit", sections=changes)
    assert [section["key"] for section in after["sections"]] == [*KEYS[1:], KEYS[0]]
    story = after["sections"][-1]
    assert (story["name"], story["sort"], story["evidence"]) == ("Story", 9, before["sections"][0]["evidence"])
    assert after["name"] == "Visit"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sections": []},
        {"name": None, "sections": None},
        {"name": "SOAP note", "sections": [{"key": "corti-plan", "text": "Rest.", "name": None}]},
    ],
)
async def test_a_change_of_nothing_changes_nothing(service: AmbientService, path: str, changes: Json) -> None:
    before = await written(service, path)
    assert await patched(service, path, before, **changes) == before


async def test_a_section_that_the_document_lacks_is_added_at_the_end(service: AmbientService, path: str) -> None:
    before = await written(service, path)
    added = [
        {"key": "corti-allergies"},
        {"key": "addendum", "text": "Called back."},
        {"key": "addendum", "name": "Later"},
    ]
    after = await patched(service, path, before, sections=added)
    assert after["sections"][:4] == before["sections"]
    assert [(one["key"], one["name"], one["text"], one["sort"], one["evidence"]) for one in after["sections"][4:]] == [
        ("corti-allergies", "Allergies", "", 4, []),
        ("addendum", "Later", "Called back.", 5, []),
    ]


async def test_changes_at_the_same_time_are_all_kept(service: AmbientService, path: str) -> None:
    document = await written(service, path)
    together = [
        service.http.patch(path + document["id"], json={"sections": [{"key": key, "text": key}]}) for key in KEYS
    ]
    await asyncio.gather(*together)
    assert texts((await service.http.get(path + document["id"])).json()) == {key: key for key in KEYS}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"name": ""}, "A0003"),
        ({"name": 7}, "A0003"),
        ({"name": "n" * 256}, "A0003"),
        ({"sections": [{"text": "a"}]}, "A0003"),
        ({"sections": [{"key": "corti-plan", "sort": -1}]}, "A0003"),
        ({"sections": [{"key": "corti-plan", "text": "a\x00"}]}, "A0003"),
        ({"sections": [{"key": f"k{n}", "text": ""} for n in range(197)]}, "A0016"),
    ],
)
async def test_a_change_that_is_not_valid_is_refused_and_changes_nothing(
    service: AmbientService, path: str, changes: Json, kind: str
) -> None:
    before = await written(service, path)
    response = await service.http.patch(path + before["id"], json=changes)
    assert (response.status_code, response.json()["type"]) == (400, kind)
    assert (await service.http.get(path + before["id"])).json() == before


async def test_nobody_else_can_change_a_document(service: AmbientService, path: str) -> None:
    document = await written(service, path)
    elsewhere = f"interactions/{await service.interaction()}/documents/{document['id']}"
    unknown = await service.http.patch(elsewhere, json={"name": "Mine"})
    foreign = await service.http.patch(path + document["id"], json={"name": "Mine"}, headers={"Tenant-Name": "other"})
    assert [(response.status_code, response.json()["type"]) for response in (unknown, foreign)] == [
        (404, "A0009"), (404, "A0007"),
    ]  # fmt: skip
    assert (await service.http.get(path + document["id"])).json() == document


async def test_sections_that_were_stored_without_times_have_those_of_their_document(
    service: AmbientService, path: str
) -> None:
    interaction = path.split("/")[1]
    section = {"key": "corti-plan", "name": "Plan", "text": "Rest.", "sort": 0, "evidence": []}
    stored = StoredDocument(
        "0b7f7c0e-54a0-4d5e-8f0b-3f6c0c1f2a11", interaction, "Note", "corti-soap", "en", (section,), OLD, OLD
    )
    assert await service.store.add_document(replace(stored, sections=(section, {**section, "key": "corti-hpi"})))
    before = (await service.http.get(path + stored.id)).json()
    assert {(one["createdAt"], one["updatedAt"]) for one in before["sections"]} == {("2026-01-01T09:00:00Z",) * 2}
    after = await patched(service, path, before, sections=[{"key": "corti-plan", "text": "Work."}])
    assert [one["updatedAt"] for one in after["sections"]] == [after["updatedAt"], "2026-01-01T09:00:00Z"]
