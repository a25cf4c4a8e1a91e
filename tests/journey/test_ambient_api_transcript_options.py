"""What a transcript's request may ask beside hearing the words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.database.database import Database
from service.ambient.ports import Segment
from tests.ambient_service import AmbientService, ambient_service
from tests.engines import ScriptedTranscriber

DICTATED = (Segment("s0", 0, 0, -1, "No fever comma ten milligrams full stop", 600, 5000),)


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[AmbientService]:
    async with ambient_service(database, tmp_path / "blobs", transcriber=ScriptedTranscriber(DICTATED)) as service:
        yield service


async def asked(service: AmbientService, **options: Any) -> Any:
    interaction = await service.interaction()
    body = {"recordingId": await service.recording(interaction), "primaryLanguage": "en", **options}
    return await service.http.post(f"interactions/{interaction}/transcripts/", json=body)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "No fever comma ten milligrams full stop"),
        ({"isDictation": True}, "No fever, ten milligrams."),
        ({"spokenPunctuation": True, "automaticPunctuation": True}, "No fever, ten milligrams."),
        ({"isDictation": False, "automaticPunctuation": True}, "No fever comma ten milligrams full stop"),
        ({"replacements": [{"find": "Milligrams", "replace": "mg"}]}, "No fever comma ten mg full stop"),
        (
            {"isDictation": True, "replacements": [{"find": "milligrams", "replace": "mg"}], "keyterms": None},
            "No fever, ten mg.",
        ),
    ],
)
async def test_the_words_are_written_as_they_were_asked_for(
    service: AmbientService, options: dict[str, Any], text: str
) -> None:
    created = await asked(service, **options)
    assert created.status_code == 201
    assert [segment["text"] for segment in created.json()["transcripts"]] == [text]


async def test_keyterms_reach_the_recogniser(service: AmbientService) -> None:
    await asked(service, keyterms={"terms": [{"term": "lisinopril"}, {"term": "atrial fibrillation"}]})
    assert service.transcriber.requests[0].keyterms == ("lisinopril", "atrial fibrillation")


@pytest.mark.parametrize(
    "options",
    [
        {"keyterms": {"terms": [{"term": "x" * 51}]}},
        {"keyterms": {"terms": [{"term": "x"}] * 1001}},
        {"keyterms": ["x"]},
        {"replacements": [{"find": "", "replace": "x"}]},
        {"replacements": [{"find": "x", "replace": "y"}] * 1001},
        {"isDictation": "yes"},
        {"async": 1},
    ],
)
async def test_options_that_are_not_valid_are_refused(service: AmbientService, options: dict[str, Any]) -> None:
    refused = await asked(service, **options)
    assert (refused.status_code, refused.json()["type"]) == (400, "A0003")
    assert service.transcriber.requests == []
