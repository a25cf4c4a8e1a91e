"""The description of the ambient API that the outer app publishes."""

from __future__ import annotations

import json
from typing import Any, cast

from fastapi import FastAPI

from service.ambient.app import ambient_router
from service.ambient.rooms import AmbientRooms


def _described() -> dict[str, Any]:
    app = FastAPI()
    app.include_router(ambient_router(cast(AmbientRooms, None)), prefix="/v2")
    return app.openapi()


def test_each_path_is_described_once_in_the_wires_own_form() -> None:
    item = "/v2/interactions/{interaction}"
    assert sorted(_described()["paths"]) == [
        "/v2/interactions/",
        item,
        f"{item}/documents/",
        f"{item}/documents/{{document}}",
        f"{item}/recordings/",
        f"{item}/recordings/{{recording}}",
        f"{item}/transcripts/",
        f"{item}/transcripts/{{transcript}}",
        f"{item}/transcripts/{{transcript}}/status",
        "/v2/templateSections/",
        "/v2/templates/",
        "/v2/templates/{key}",
    ]


def test_bodies_are_described_although_the_framework_does_not_read_them() -> None:
    operation = _described()["paths"]["/v2/interactions/"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["encounter"]
    assert schema["properties"]["encounter"]["properties"]["status"]["enum"][0] == "planned"


def test_no_answer_is_described_that_is_never_given() -> None:
    text = json.dumps(_described())
    assert '"422"' not in text
    assert "#/$defs/" not in text
