"""Templates, their sections, and languages: what a caller may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.database.database import Database
from service.errors import BadConfiguration
from service.fhir.codes import DOCUMENT_TYPES
from service.main import open_house
from tests.ambient_service import AmbientService, ambient_service
from tests.engines import ScriptedTranscriber
from tests.journey.hospital import WrittenAudio, open_hospital, scratch_settings

TEMPLATE = """
key: letter
name: Letter
description: To the family doctor.
sections: [greeting, corti-plan]
"""
GREETING = "[{key: greeting, name: Story, description: What it is about., groups: [history-of-present-illness]}]"


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[AmbientService]:
    async with ambient_service(database, tmp_path / "blobs") as service:
        yield service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "letter.yaml").write_text(TEMPLATE)
    (folder / "sections.yaml").write_text(GREETING)
    return folder


async def listed(service: AmbientService, path: str, **query: Any) -> list[str]:
    response = await service.http.get(path, params=query)
    assert response.status_code == 200
    return [item["key"] for item in response.json()["data"]]


async def test_every_template_is_listed_and_found_by_its_key_with_or_without_prefix(service: AmbientService) -> None:
    data = (await service.http.get("templates/")).json()["data"]
    assert [item["key"] for item in data] == sorted(DOCUMENT_TYPES)
    for item in data:
        assert (await service.http.get(f"templates/{item['key']}")).json() == item
        assert (await service.http.get(f"templates/{item['key'].removeprefix('corti-')}/")).json() == item
    unknown = await service.http.get("templates/unknown")
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "template not found")


async def test_a_template_has_the_shape_of_the_wire(service: AmbientService) -> None:
    body = (await service.http.get("templates/outpatient-visit-note")).json()
    description = "An outpatient visit, from its reason through history and examination to the plan."
    words = {"name": "Outpatient visit note", "description": description}
    assert {name: value for name, value in body.items() if name != "templateSections"} == {
        "key": "corti-outpatient-visit-note", **words, "status": "published",
        "translations": [{"languageId": "en", **words}],
    }  # fmt: skip
    assert [item["sort"] for item in body["templateSections"]] == list(range(8))
    named = {"name": "Reason for visit", "description": "Why the patient came, in a few words."}
    assert body["templateSections"][0]["section"] == {
        "key": "corti-chief-complaint", **named, "type": "text", "defaultWritingStyle": {"name": "Clinical"},
        "content": "Chief complaint", "translations": [{"languageId": "en", **named}],
    }  # fmt: skip


async def test_every_section_is_listed_once_used_by_a_template_or_not(service: AmbientService) -> None:
    keys = await listed(service, "templateSections/")
    assert len(keys) == len(set(keys)) == 26
    assert {"corti-discussion-notes", "corti-social-history-w-o-smoking-and-alcohol", "corti-plan"} <= set(keys)
    sections = (await service.http.get("templateSections")).json()["data"]
    styles = {section["key"]: section["defaultWritingStyle"]["name"] for section in sections}
    assert (styles["corti-patient-summary"], styles["corti-plan"]) == ("Plain language", "Clinical")


@pytest.mark.parametrize("path", ["templates/", "templateSections/"])
async def test_filters_may_be_repeated_and_never_fail(service: AmbientService, path: str) -> None:
    everything = await listed(service, path)
    assert await listed(service, path, lang="en-US") == everything
    assert await listed(service, path, lang=["da", "en"]) == everything
    assert await listed(service, path, org=["a", "b"]) == everything
    assert await listed(service, path, lang="da") == []


async def test_templates_can_be_asked_for_by_status_under_both_of_its_names(service: AmbientService) -> None:
    for name in ("status", "templateStatus"):
        assert await listed(service, "templates/", **{name: "draft"}) == []
        assert "corti-soap" in await listed(service, "templates/", **{name: ["draft", "published"]})


@pytest.mark.parametrize("query", [{}, {"endpoint": "transcripts"}])
async def test_the_languages_are_those_that_the_recogniser_understands(
    service: AmbientService, query: dict[str, str]
) -> None:
    languages = (await service.http.get("languages/", params=query)).json()["languages"]
    assert languages == {
        "en": {"endpoints": {"streams": {"enabled": False}, "transcribe": {"enabled": False}, "transcripts": {"enabled": True}}}
    }  # fmt: skip


async def test_a_region_is_listed_where_the_recogniser_understands_it(database: Database, tmp_path: Path) -> None:
    class GermanAndFinnish(ScriptedTranscriber):
        def supports(self, language: str) -> bool:
            return language.split("-", maxsplit=1)[0] in ("de", "fi")

    async with ambient_service(database, tmp_path, recognisers=0, transcriber=GermanAndFinnish()) as service:
        assert list((await service.http.get("languages")).json()["languages"]) == ["de", "de-CH", "fi"]


async def test_endpoints_that_are_not_offered_have_no_languages_and_unknown_ones_are_refused(
    service: AmbientService,
) -> None:
    for endpoint in ("transcribe", "streams"):
        assert (await service.http.get("languages/", params={"endpoint": endpoint})).json() == {"languages": {}}
    refused = await service.http.get("languages/", params={"endpoint": "agents"})
    assert (refused.status_code, refused.json()["type"]) == (400, "A0013")


async def test_notes_can_be_written_from_a_template_of_the_deployments_own(tmp_path: Path, folder: Path) -> None:
    api, notes = {"template_folder": folder}, {"templates": ["letter"]}
    async with open_hospital(tmp_path, api=api, notes=notes) as hospital:
        await hospital.tell(await hospital.admit(), await hospital.record())
        await hospital.until("done")
        (note,) = await hospital.notes()
    assert note["type"]["coding"][0]["code"] == "34109-9"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"api": {"template_folder": "missing"}}, "AMBIENT_API__TEMPLATE_FOLDER=missing"),
        (
            {"notes": {"templates": ["corti-soap", "novel"]}},
            "the engine has no novel; it has corti-brief-clinical-note, ",
        ),
    ],
)
async def test_a_start_with_wrong_templates_is_refused(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    settings = scratch_settings(tmp_path, **change)
    with pytest.raises(BadConfiguration, match=problem):
        async with open_house(settings, transcriber=WrittenAudio()):
            pass
