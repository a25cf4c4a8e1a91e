"""The shape of every response, key by key, against what the official client requires."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.database.database import Database
from tests.ambient_service import VISIT, AmbientService, ambient_service
from tests.engines import AUDIO

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SAID = {"type": "transcript", "data": {"text": "I have a cough.", "channel": 0, "speakerId": 0, "start": 1, "end": 9}}


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[AmbientService]:
    async with ambient_service(database, tmp_path / "blobs") as service:
        yield service


def uuid(value: Any) -> bool:
    return isinstance(value, str) and bool(UUID.fullmatch(value))


def moment(value: Any) -> bool:
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def assert_shape(body: dict[str, Any], **required: Any) -> None:
    """Each required key is there, never null, and of its type (or accepted by its check)."""
    for key, kind in required.items():
        assert body.get(key) is not None, f"{key} is missing or null"
        if isinstance(kind, type):
            assert type(body[key]) is kind, f"{key} is {type(body[key]).__name__}"
        else:
            assert kind(body[key]), f"{key} is {body[key]!r}"


async def test_a_created_interaction(service: AmbientService) -> None:
    response = await service.http.post("interactions/", json=VISIT)
    body = response.json()
    assert response.status_code == 201
    assert_shape(body, interactionId=uuid, websocketUrl=str, id=uuid, wssUrl=str)
    assert (body["id"], body["wssUrl"]) == (body["interactionId"], body["websocketUrl"])
    streams = f"/audio-bridge/v2/interactions/{body['id']}/streams?tenant-name=base"
    assert body["websocketUrl"] == f"ws://ambient.test{streams}"


async def test_an_interaction_that_was_created_without_patient_and_period_still_has_both(
    service: AmbientService,
) -> None:
    body = (await service.http.get(f"interactions/{await service.interaction()}")).json()
    assert_shape(
        body, id=uuid, assignedUserId=uuid, encounter=dict, patient=dict, createdAt=moment, updatedAt=moment,
        lastUpdated=moment, websocketUrl=str,
    )  # fmt: skip
    assert body["patient"] == {"identifier": ""}
    assert_shape(body["encounter"], identifier=str, status=str, type=str, period=dict)
    assert body["encounter"]["period"]["startedAt"] == body["createdAt"]


async def test_what_was_given_at_creation_is_given_back_in_utc(service: AmbientService) -> None:
    period = {"startedAt": "2026-01-01T10:00:00.000+01:00", "endedAt": "2026-01-01T09:30:00Z", "startedAtTzoffset": 1}
    patient = {"identifier": "p1", "name": "A", "gender": "female", "birthDate": "1980-02-03", "pronouns": None}
    encounter = {**VISIT["encounter"], "period": period, "title": "First"}
    created = await service.http.post("interactions/", json={"encounter": encounter, "patient": patient, "extra": 1})
    body = (await service.http.get(f"interactions/{created.json()['id']}/")).json()
    assert body["encounter"]["period"] == {"startedAt": "2026-01-01T09:00:00Z", "endedAt": "2026-01-01T09:30:00Z"}
    assert body["encounter"]["title"] == "First"
    assert body["patient"] == {
        "identifier": "p1", "name": "A", "gender": "female", "birthDate": "1980-02-03T00:00:00Z",
    }  # fmt: skip
    assert body["endedAt"] == "2026-01-01T09:30:00Z"


async def test_interactions_are_listed_in_pages_until_an_empty_one(service: AmbientService) -> None:
    made = [await service.interaction() for _ in range(5)]
    pages = [
        (await service.http.get("interactions/", params={"pageSize": 2, "index": index, "direction": "asc"})).json()
        for index in (1, 2, 3, 4)
    ]
    ids = [[interaction["id"] for interaction in page["interactions"]] for page in pages]
    assert ids == [made[:2], made[2:4], made[4:], []]


@pytest.mark.parametrize("sort", ["id", "assignedUserId", "patient", "createdAt", "endedAt", "updatedAt"])
async def test_interactions_can_be_sorted_by_every_field_of_the_wire(service: AmbientService, sort: str) -> None:
    made = {await service.interaction(), await service.interaction()}
    listed = (await service.http.get("interactions", params={"sort": sort})).json()["interactions"]
    assert {interaction["id"] for interaction in listed} == made


async def test_interactions_can_be_filtered_by_status_and_patient(service: AmbientService) -> None:
    await service.interaction()
    finished = {"encounter": {**VISIT["encounter"], "status": "completed"}, "patient": {"identifier": "p1"}}
    created = (await service.http.post("interactions/", json=finished)).json()["id"]
    for query in ({"patient": "p1"}, {"encounterStatus": ["completed", "deleted"]}):
        listed = (await service.http.get("interactions/", params=query)).json()["interactions"]
        assert [interaction["id"] for interaction in listed] == [created]


async def test_recordings_are_listed_as_ids_and_given_back_byte_for_byte(service: AmbientService) -> None:
    path = f"interactions/{await service.interaction()}/recordings/"
    created = await service.http.post(path, content=AUDIO, headers={"Content-Type": "audio/ogg"})
    assert created.status_code == 201
    assert_shape(created.json(), recordingId=uuid, channels=int, durationMs=int)
    recording = created.json()["recordingId"]
    assert (await service.http.get(path)).json() == {"recordings": [recording]}
    audio = await service.http.get(path + recording)
    assert (audio.content, audio.headers["content-type"]) == (AUDIO, "audio/ogg")


async def test_a_recording_that_calls_itself_a_web_page_is_not_given_back_as_one(service: AmbientService) -> None:
    path = f"interactions/{await service.interaction()}/recordings/"
    created = await service.http.post(path, content=AUDIO, headers={"Content-Type": "text/html"})
    audio = await service.http.get(path + created.json()["recordingId"])
    assert audio.headers["content-type"] == "application/octet-stream"


async def _transcript(service: AmbientService, **asked: Any) -> tuple[str, dict[str, Any]]:
    interaction = await service.interaction()
    body = {"recordingId": await service.recording(interaction), "primaryLanguage": "en", **asked}
    created = await service.http.post(f"interactions/{interaction}/transcripts/", json=body)
    assert created.status_code == 201
    return f"interactions/{interaction}/transcripts/", created.json()


async def test_a_transcript(service: AmbientService) -> None:
    path, created = await _transcript(service, modelName="premier", shouldDiarize=True)
    got = (await service.http.get(path + created["id"])).json()
    assert got == created
    assert_shape(
        got, id=uuid, metadata=dict, transcripts=list, usageInfo=dict, recordingId=uuid, status=str, progress=float
    )
    assert got["metadata"] == {"participantsRoles": None}
    assert got["usageInfo"] == {"creditsConsumed": 0.0}
    for segment in got["transcripts"]:
        assert_shape(
            segment, channel=int, participant=int, speakerId=int, text=str, start=int, end=int, id=str, role=str
        )


async def test_the_roles_of_the_participants_are_given_back(service: AmbientService) -> None:
    roles = [{"channel": 0, "role": "doctor"}, {"channel": 1, "role": "patient"}]
    _, created = await _transcript(service, isMultichannel=True, diarize=True, participants=roles)
    assert created["metadata"] == {"participantsRoles": roles}


async def test_the_list_of_transcripts_carries_them_whole_only_when_asked(service: AmbientService) -> None:
    path, created = await _transcript(service)
    brief = (await service.http.get(path)).json()["transcripts"]
    full = (await service.http.get(path, params={"full": "true"})).json()["transcripts"]
    assert_shape(brief[0], id=uuid, transcriptSample=str)
    assert "transcript" not in brief[0]
    assert full[0]["transcript"] == {"metadata": created["metadata"], "transcripts": created["transcripts"]}


async def test_the_status_of_a_transcript(service: AmbientService) -> None:
    path, created = await _transcript(service)
    status = (await service.http.get(path + created["id"] + "/status")).json()
    assert status == {"status": "completed", "progress": 1.0}


async def test_a_document(service: AmbientService) -> None:
    path = f"interactions/{await service.interaction()}/documents/"
    asked = {"context": [SAID], "templateKey": "corti-soap", "outputLanguage": "en-US"}
    created = await service.http.post(path, json=asked)
    body = created.json()
    assert created.status_code == 201
    assert_shape(
        body, id=uuid, name=str, templateRef=str, isStream=bool, sections=list, createdAt=moment, updatedAt=moment,
        outputLanguage=str, usageInfo=dict,
    )  # fmt: skip
    for sort, section in enumerate(body["sections"]):
        assert_shape(section, key=str, name=str, text=str, sort=int, createdAt=moment, updatedAt=moment, evidence=list)
        assert section["sort"] == sort
    assert body["sections"][0]["evidence"] == [{"text": "I have a cough.", "segments": ["c0"], "start": 1, "end": 9}]
    assert (await service.http.get(path + body["id"])).json() == body
    assert (await service.http.get(path)).json() == {"data": [body]}


async def test_templates_and_their_sections(service: AmbientService) -> None:
    for template in (await service.http.get("templates/")).json()["data"]:
        assert_shape(template, key=str, name=str, description=str, status=str, templateSections=list, translations=list)
        for item in template["templateSections"]:
            assert_shape(item, sort=int, section=dict)
    for section in (await service.http.get("templateSections/")).json()["data"]:
        assert_shape(section, key=str, name=str, description=str, type=str, defaultWritingStyle=dict, translations=list)
        assert_shape(section["defaultWritingStyle"], name=str)
        assert_shape(section["translations"][0], languageId=str, name=str, description=str)


async def test_everything_is_deleted_with_its_interaction(service: AmbientService) -> None:
    path, created = await _transcript(service)
    interaction = path.split("/")[1]
    response = await service.http.delete(f"interactions/{interaction}")
    assert (response.status_code, response.content) == (204, b"")
    for gone in (f"interactions/{interaction}", path + created["id"]):
        assert (await service.http.get(gone)).json()["type"] == "A0007"
    assert (await service.http.delete(f"interactions/{interaction}")).status_code == 404
    assert service.blobs_kept() == []


@pytest.mark.parametrize("resource", ["transcripts", "documents"])
async def test_a_deleted_item_is_not_found_again(service: AmbientService, resource: str) -> None:
    path, created = await _transcript(service)
    if resource == "documents":
        path = path.replace("transcripts", "documents")
        asked = {"context": [SAID], "templateKey": "soap", "outputLanguage": "en"}
        created = (await service.http.post(path, json=asked)).json()
    assert (await service.http.delete(path + created["id"])).status_code == 204
    assert (await service.http.get(path + created["id"])).status_code == 404
    assert (await service.http.delete(path + created["id"])).status_code == 404


@pytest.mark.parametrize(
    "path", ["interactions", "interactions/", "templates", "templateSections/", "templates/soap/", "languages"]
)
async def test_a_trailing_slash_never_matters(service: AmbientService, path: str) -> None:
    assert (await service.http.get(path)).status_code == 200


@pytest.mark.parametrize("alias", ["recording", "recording/", "recordings", "recordings/"])
async def test_an_upload_may_use_any_of_its_paths(service: AmbientService, alias: str) -> None:
    response = await service.http.post(f"interactions/{await service.interaction()}/{alias}", content=AUDIO)
    assert response.status_code == 201
