"""Every way in which the ambient API says no: its status, its type, and the one shape of its body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from adapters.database.database import Database
from service.ambient.app import create_ambient_app
from service.api.serving import listening
from service.errors import Retryable
from service.settings import read_settings
from tests.ambient_service import VISIT, AmbientService, ambient_service, logged, pieces, visit
from tests.engines import AUDIO
from tests.scratch import scratch_database
from tests.served import request

LIMIT = 20_000
SAID = {"type": "transcript", "data": {"text": "I have a cough."}}
DOCUMENT = {"context": [SAID], "templateKey": "corti-soap", "outputLanguage": "en"}


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[AmbientService]:
    async with ambient_service(database, tmp_path / "blobs", audio_max=LIMIT) as service:
        yield service


def assert_refused(response: httpx.Response, status: int, kind: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["status"]) == (status, status), body
    assert set(body) - {"validationErrors"} == {"requestid", "status", "type", "detail"}
    assert body["requestid"] == response.headers["X-Request-Id"]
    assert isinstance(body["detail"], str)
    assert kind is None or body["type"] == kind
    for problem in body.get("validationErrors", []):
        assert all(isinstance(text, str) for item in problem.items() for text in item)
    return body


def _visit(**changes: Any) -> dict[str, Any]:
    return {"encounter": {**VISIT["encounter"], **changes}}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "text",
        {"encounter": None},
        {"encounter": {"identifier": "visit-1"}},
        _visit(status="finished"),
        _visit(type="house_call"),
        _visit(identifier=7),
        _visit(identifier="a\x00b"),
        _visit(period={}),
        _visit(period={"startedAt": 1767225600}),
        _visit(period={"startedAt": "2026"}),
        _visit(period={"startedAt": "0001-01-01T00:00:00+14:00"}),
        _visit(period={"startedAt": "yesterday"}),
        {**VISIT, "assignedUserId": "me"},
        {**VISIT, "patient": {}},
        {**VISIT, "patient": {"identifier": "p", "gender": ""}},
    ],
)
async def test_an_interaction_that_is_not_valid_is_refused(service: AmbientService, body: Any) -> None:
    response = await service.http.post("interactions/", json=body)
    assert assert_refused(response, 400, "A0003")["validationErrors"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"encounter": NaN}',
        b'{"encounter": {"identifier": "\\ud800", "status": "planned", "type": "emergency"}}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
async def test_a_body_that_is_not_json_is_refused(service: AmbientService, content: bytes) -> None:
    assert_refused(await service.http.post("interactions/", content=content), 400, "A0003")


async def test_a_json_body_without_end_is_cut_off(service: AmbientService) -> None:
    endless = pieces(b'"' + b"x" * (17 * 1024**2), 1024**2)
    assert_refused(await service.http.post("interactions/", content=endless), 400, "A0016")


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "colour"},
        {"direction": "up"},
        {"pageSize": "0"},
        {"pageSize": "-1"},
        {"pageSize": "many"},
        {"index": "0"},
        {"index": "9" * 40},
        {"encounterStatus": "finished"},
        {"patient": "a\x00b"},
    ],
)
async def test_a_query_that_is_not_valid_is_refused(service: AmbientService, query: dict[str, str]) -> None:
    assert_refused(await service.http.get("interactions/", params=query), 400, "A0013")


ITEMS = ("recordings/{}", "transcripts/{}", "transcripts/{}/status", "documents/{}")


@pytest.mark.parametrize("path", ["interactions/{}", *(f"interactions/{{}}/{item}" for item in ITEMS)])
@pytest.mark.parametrize(
    ("given", "status"), [("me", 400), ("%00", 400), ("0b7f7c0e-54a0-4d5e-8f0b-3f6c0c1f2a11", 404)]
)
async def test_malformed_ids_are_bad_and_unknown_ids_are_not_found(
    service: AmbientService, path: str, given: str, status: int
) -> None:
    kind = "A0006" if status == 400 else "A0007"
    assert_refused(await service.http.get(path.format(given, given)), status, kind)


@pytest.mark.parametrize(("item", "kind"), [*zip(ITEMS, ("A0011", "A0012", "A0012", "A0009"), strict=True)])
async def test_an_unknown_item_of_a_known_interaction_is_not_found(
    service: AmbientService, item: str, kind: str
) -> None:
    path = f"interactions/{await service.interaction()}/"
    assert_refused(await service.http.get(path + item.format(uuid4())), 404, kind)
    assert_refused(await service.http.get(path + item.format("me")), 400, "A0006")


async def test_deleting_an_unknown_recording_succeeds(service: AmbientService) -> None:
    response = await service.http.delete(f"interactions/{await service.interaction()}/recordings/{uuid4()}")
    assert response.status_code == 204


@pytest.mark.parametrize("path", ["", *(f"/{item}" for item in ("recordings/", "transcripts/", "documents/"))])
async def test_a_resource_of_another_tenant_is_not_found(service: AmbientService, path: str) -> None:
    url, other = f"interactions/{await service.interaction()}{path}", {"Tenant-Name": "other"}
    assert (await service.http.get(url)).status_code == 200
    assert_refused(await service.http.get(url, headers=other), 404, "A0007")
    assert (await service.http.get("interactions/", headers=other)).json() == {"interactions": []}
    assert_refused(await service.http.get(url, headers={"Tenant-Name": "../base"}), 400)


@pytest.mark.parametrize(("audio", "kind"), [(b"", "A0003"), (b"not audio at all", "A0003"), (AUDIO * 2, "A0016")])
@pytest.mark.parametrize("chunked", [True, False])
async def test_audio_that_is_empty_undecodable_or_too_large_is_refused_and_not_kept(
    service: AmbientService, audio: bytes, kind: str, chunked: bool
) -> None:
    path = f"interactions/{await service.interaction()}/recordings/"
    response = await service.http.post(path, content=pieces(audio) if chunked else audio)
    assert_refused(response, 400, kind)
    assert service.blobs_kept() == []
    assert (await service.http.get(path)).json() == {"recordings": []}


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"primaryLanguage": "da"}, 400, "A0018"),
        ({"primaryLanguage": "a\nb"}, 400, "A0018"),
        ({"primaryLanguage": None}, 400, "A0003"),
        ({"recordingId": "me"}, 400, "A0003"),
        ({"recordingId": str(uuid4())}, 404, "A0011"),
        ({"isMultichannel": "yes"}, 400, "A0003"),
        ({"participants": [{"channel": 0, "role": "nurse"}]}, 400, "A0003"),
        ({"participants": [{"channel": -1, "role": "doctor"}]}, 400, "A0003"),
        ({"participants": [{"channel": 0, "role": "doctor"}] * 2}, 400, "A0003"),
        ({"diarize": True, "participants": [{"channel": 0, "role": "doctor"}]}, 400, "A0003"),
    ],
)
async def test_a_transcript_that_cannot_be_made_is_refused(
    service: AmbientService, changes: dict[str, Any], status: int, kind: str
) -> None:
    interaction = await service.interaction()
    body = {"recordingId": await service.recording(interaction), "primaryLanguage": "en", **changes}
    response = await service.http.post(f"interactions/{interaction}/transcripts/", json=body)
    assert_refused(response, status, kind)


async def test_a_recording_of_another_interaction_cannot_be_transcribed(service: AmbientService) -> None:
    recording, other = await service.recording(await service.interaction()), await service.interaction()
    body = {"recordingId": recording, "primaryLanguage": "en"}
    assert_refused(await service.http.post(f"interactions/{other}/transcripts/", json=body), 404, "A0011")


async def test_unknown_paths_templates_and_methods_are_refused_in_the_same_shape(service: AmbientService) -> None:
    assert_refused(await service.http.get("nowhere"), 404)
    assert_refused(await service.http.get("templates/unknown"), 404)
    assert_refused(await service.http.put("interactions/"), 405)


async def write_with_a_writer_that_raises(service: AmbientService, error: Exception) -> httpx.Response:
    class Failing(type(service.rooms.writer)):  # type: ignore[misc]
        def write(self, *given: Any) -> Any:
            raise error

    object.__setattr__(service.rooms, "writer", Failing())
    return await service.http.post(f"interactions/{await service.interaction()}/documents/", json=DOCUMENT)


async def test_a_failing_engine_is_a_500_that_tells_nothing(
    service: AmbientService, caplog: pytest.LogCaptureFixture
) -> None:
    response = await write_with_a_writer_that_raises(service, RuntimeError("private words"))
    body = assert_refused(response, 500, "A0010")
    assert "private" not in json.dumps(body)
    assert [(entry["event"], entry["request"]) for entry in logged(caplog)] == [("request_failed", body["requestid"])]


@pytest.mark.parametrize(("after", "wait"), [(None, "5"), (7.2, "8")])
async def test_what_may_pass_is_a_503_that_says_when_to_come_again(
    service: AmbientService, caplog: pytest.LogCaptureFixture, after: float | None, wait: str
) -> None:
    response = await write_with_a_writer_that_raises(service, Retryable("engine_unavailable", "a detail", after))
    body = assert_refused(response, 503, "about:blank")
    assert response.headers["Retry-After"] == wait
    assert body["detail"] == "come again later: engine_unavailable"
    (entry,) = logged(caplog)
    assert (entry["event"], entry["level"], entry["request"], entry["reason"]) == (
        "request_failed",
        "warning",
        body["requestid"],
        "engine_unavailable",
    )


async def test_a_database_that_cannot_be_written_to_is_a_503(tmp_path: Path) -> None:
    settings = read_settings(database={"url": scratch_database(tmp_path)})
    async with (
        Database.connect(settings.database, patience=0.1) as database,
        ambient_service(database, tmp_path / "blobs") as service,
    ):
        async with database.transaction():
            response = await service.http.post("interactions/", json=visit())
        assert assert_refused(response, 503)["detail"] == "come again later: database_unavailable"
        await service.interaction()


async def test_an_upload_that_the_stop_cuts_off_is_told_to_come_again(
    service: AmbientService, caplog: pytest.LogCaptureFixture
) -> None:
    path = f"/v2/interactions/{await service.interaction()}/recordings/"
    async with listening(create_ambient_app(service.rooms), "127.0.0.1", 0, grace=0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(f"POST {path}", AUDIO[:1000], "Expect: 100-continue", length=len(AUDIO)))
        await reader.readuntil(b"100 Continue\r\n\r\n")
    head, body = (await reader.readuntil(b'"}')).split(b"\r\n\r\n")
    writer.close()
    status, *headers = head.decode().lower().split("\r\n")
    assert status.split()[1] == "503"
    assert {"connection: close", "retry-after: 5", "content-type: application/json"} <= set(headers)
    answered = json.loads(body)
    assert (answered["status"], answered["type"]) == (503, "about:blank")
    assert f"x-request-id: {answered['requestid']}" in headers
    assert [(entry["event"], entry["request"]) for entry in logged(caplog)] == [
        ("request_cut_off", answered["requestid"])
    ]
    assert service.blobs_kept() == []


async def test_the_request_id_of_the_caller_is_kept_when_it_is_plain(service: AmbientService) -> None:
    for given, kept in (("req-1", True), ("a b", False), ("x" * 65, False)):
        response = await service.http.get("nowhere", headers={"X-Request-Id": given})
        assert (response.headers["X-Request-Id"] == given) is kept
        assert_refused(response, 404)
