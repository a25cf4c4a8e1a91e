"""The description that the outer app publishes: complete, and true as far as it can be held against itself."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from service.main import open_house
from tests.journey.hospital import WrittenAudio, scratch_settings

Json = dict[str, Any]
ITEM = "/v2/interactions/{interaction}"


@cache
def described() -> Json:
    async def describe(folder: Path) -> Json:
        async with open_house(scratch_settings(folder), transcriber=WrittenAudio()) as house:
            return house.app.openapi()

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(describe(Path(folder)))


def operations() -> Iterator[tuple[str, Json]]:
    for path, methods in described()["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def fields(schema: Any, of: str) -> Iterator[tuple[str, Json]]:
    """Every property of the schema, however deep, with its place."""
    if isinstance(schema, list):
        for item in schema:
            yield from fields(item, of)
    elif isinstance(schema, dict):
        for name, field in (schema.get("properties") or {}).items():
            yield f"{of}.{name}", field
        for name, inner in schema.items():
            if name not in ("examples", "example"):
                yield from fields(inner, of)


def test_each_path_is_described_once_in_the_wires_own_form() -> None:
    assert sorted(path for path in described()["paths"] if path.startswith("/v2")) == [
        "/v2/factgroups/",
        "/v2/interactions/",
        ITEM,
        f"{ITEM}/documents/",
        f"{ITEM}/documents/{{document}}",
        f"{ITEM}/facts/",
        f"{ITEM}/facts/{{fact}}",
        f"{ITEM}/recordings/",
        f"{ITEM}/recordings/{{recording}}",
        f"{ITEM}/transcripts/",
        f"{ITEM}/transcripts/{{transcript}}",
        f"{ITEM}/transcripts/{{transcript}}/status",
        "/v2/languages/",
        "/v2/templateSections/",
        "/v2/templates/",
        "/v2/templates/{key}",
        "/v2/tools/extract-facts",
    ]


def test_every_operation_says_what_it_does_under_a_name_that_reads_well() -> None:
    for name, operation in operations():
        assert operation["summary"], name
        assert operation.get("description"), name
        assert operation["tags"], name
        assert operation["operationId"].isalpha(), name
    names = [operation["operationId"] for _, operation in operations()]
    assert len(set(names)) == len(names)
    known = {tag["name"] for tag in described()["tags"]}
    assert {tag for _, operation in operations() for tag in operation["tags"]} <= known


def test_every_parameter_and_every_field_is_described() -> None:
    for name, operation in operations():
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (name, parameter["name"])
    for place, field in fields(described(), ""):
        assert any("description" in one for one in (field, *field.get("anyOf", ()))), place


def test_every_json_body_has_an_example() -> None:
    for name, operation in operations():
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media in body.get("content", {}).values():
                if media["schema"].get("type") != "string":
                    assert "example" in media, name


def test_the_examples_are_what_the_schemas_say() -> None:
    from jsonschema import Draft202012Validator

    for name, operation in operations():
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media in body.get("content", {}).values():
                if "example" in media:
                    whole = {**media["schema"], "components": described()["components"]}
                    errors = [error.message for error in Draft202012Validator(whole).iter_errors(media["example"])]
                    assert errors == [], name


def test_ids_are_described_as_uuids_and_text_as_free_of_nul() -> None:
    (interaction,) = (p for p in described()["paths"][ITEM]["get"]["parameters"] if p["in"] == "path")
    assert interaction["schema"]["format"] == "uuid"
    body = described()["paths"]["/v2/interactions/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["encounter"]
    encounter = body["properties"]["encounter"]["properties"]
    assert encounter["status"]["enum"][0] == "planned"
    assert encounter["identifier"]["maxLength"] == 255
    assert encounter["identifier"]["pattern"] == r"^[^\x00]*$"


def test_refusals_are_described_as_they_are_given() -> None:
    for name, operation in operations():
        path, answers = name.split()[1], operation["responses"]
        if path.startswith("/v2/"):
            assert {"400", "401", "403", "500", "503"} <= set(answers), name
            assert ("404" in answers) == ("{" in path), name
            assert ("415" in answers) == ("application/json" in operation.get("requestBody", {}).get("content", {})), (
                name
            )
        if "401" in answers and "token" not in path:
            assert "content" not in answers["401"], name
            assert "WWW-Authenticate" in answers["401"]["headers"], name
        if "security" in operation:
            assert "issuer" not in answers["503"]["description"], f"{name}: it may be the database too"
        for status in {"429", "503"} & set(answers) if path not in ("/livez", "/readyz") else ():
            assert "Retry-After" in answers[status]["headers"], name


@pytest.mark.parametrize("never", ['"422"', "HTTPValidationError", "#/$defs/", '"default": {"description"', '"4XX"'])
def test_no_answer_is_described_that_is_never_given(never: str) -> None:
    assert never not in json.dumps(described())
