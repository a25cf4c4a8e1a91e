"""Who read what is always logged, and every refusal and failure can be found in the log by its request id."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from adapters.database.database import Database
from service import settings
from service.telemetry import configure_logging
from tests.ambient_service import ambient_service
from tests.journey.guarded_house import CLIENTS, House, house
from tests.journey.test_tenants import Owner, an_owner

ITEM = "v2/interactions/{interaction}"


class Log:
    """What reaches whoever collects it."""

    def __init__(self, capsys: pytest.CaptureFixture[str], level: Any) -> None:
        self._capsys = capsys
        configure_logging(settings.Log(format="json", level=level))

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Those since the last look; a key that was not let through would show as `dropped`."""
        lines = [json.loads(line) for line in self._capsys.readouterr().err.splitlines()]
        assert not [line for line in lines if "dropped" in line]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
async def guarded(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with house(database, tmp_path, CLIENTS) as guarded:
        yield guarded


@pytest.fixture
async def owner(guarded: House) -> Owner:
    return await an_owner(guarded, "clinic", "other", "clinic")


READS = [
    ("GET", "recordings/{recording}", "recording", "read"),
    ("GET", "transcripts/{transcript}", "transcript", "read"),
    ("GET", "transcripts/", "transcript", "read"),
    ("GET", "transcripts/?full=true", "transcript", "read"),
    ("GET", "documents/{document}", "document", "read"),
    ("GET", "documents/", "document", "read"),
    ("PATCH", "documents/{document}", "document", "update"),
]


async def test_whoever_reads_is_named_even_where_only_errors_are_logged(
    owner: Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(capsys, "error")
    for method, path, kind, operation in READS:
        body = {"json": {"name": "changed"}} if method == "PATCH" else {}
        url = f"{ITEM}/{path}".format(**owner.ids)
        answered = await owner.house.http.request(method, url, headers=owner.headers, **body)
        (line,) = log.lines("audit")
        assert line.pop("timestamp")
        assert line == {
            "event": "audit", "level": "info", "client": "clinic", "tenant": "clinic", "operation": operation,
            "interaction": owner.ids["interaction"], kind: owner.ids[kind], "request": answered.headers["X-Request-Id"],
        }, path  # fmt: skip


async def test_content_that_a_creation_answers_counts_too(owner: Owner, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(capsys, "info")
    for path in ("transcripts", "documents"):
        made = await owner.call(f"POST /interactions/{{interaction}}/{path}")
        (line,) = log.lines("audit")
        assert (line["operation"], line[path.removesuffix("s")]) == ("create", made.json()["id"])
    unkept = await owner.call("POST /interactions/{interaction}/documents", **{"X-Corti-Retention-Policy": "none"})
    assert [line["document"] for line in log.lines("audit")] == [unkept.json()["id"]]


async def test_what_shows_no_content_leaves_no_line(owner: Owner, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(capsys, "info")
    unknown = "00000000-0000-4000-8000-000000000000"
    for path in ("recordings/", "transcripts/{transcript}/status", f"documents/{unknown}", f"transcripts/{unknown}"):
        await owner.house.http.get(f"{ITEM}/{path}".format(**owner.ids), headers=owner.headers)
    asked = {"recordingId": owner.ids["recording"], "primaryLanguage": "en", "async": True}
    url = f"{ITEM}/transcripts/".format(**owner.ids)
    assert (await owner.house.http.post(url, json=asked, headers=owner.headers)).status_code == 202
    assert log.lines("audit") == []


async def test_where_everybody_may_read_the_reader_is_anonymous(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(database, tmp_path, {}) as opened:
        owner = await an_owner(opened, "any", "any", "base")
        log = Log(capsys, "error")
        await owner.call("GET /interactions/{interaction}/documents/{document}", Authorization="")
        assert [line["client"] for line in log.lines("audit")] == ["anonymous"]


async def test_the_workflow_reads_under_our_own_name(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with ambient_service(database, tmp_path / "blobs") as service:
        interaction = await service.interaction()
        recording = await service.recording(interaction)
        log = Log(capsys, "error")
        await service.http.get(f"interactions/{interaction}/recordings/{recording}")
        (line,) = log.lines("audit")
        assert (line["client"], line["tenant"], line["recording"]) == ("ambient-fhir", "base", recording)


async def test_a_refusal_is_found_by_its_request_and_shows_nothing_that_the_caller_wrote(
    owner: Owner, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(capsys, "info")
    refusals = [
        ("GET", f"{ITEM}/documents/Hale", {}, 400, "A0006", "/interactions/{interaction}/documents/{document}"),
        ("GET", "v2/interactions/?patient=%00Hale", {}, 400, "A0013", "/interactions/"),
        ("GET", "v2/interactions/", {"Tenant-Name": "Hale"}, 403, "A0001", "/interactions/"),
        ("GET", "v2/interactions/", {"Authorization": "Bearer Hale"}, 401, None, "/interactions/"),
        ("GET", "nowhere/Hale", {}, 404, "about:blank", None),
    ]
    for method, path, headers, status, code, template in refusals:
        url = path.format(**owner.ids)
        answered = await owner.house.http.request(method, url, headers={**owner.headers, **headers})
        assert answered.status_code == status
        (line,) = log.lines("request_refused")
        assert "Hale" not in str(line)
        assert (line["level"], line["method"], line["status"]) == ("info", method, status)
        assert (line.get("code"), line.get("path")) == (code, template)
        assert line["request"] == answered.headers["X-Request-Id"]
        if answered.content:
            assert answered.json()["requestid"] == line["request"]


async def test_a_failure_is_found_by_its_request(
    owner: Owner, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE ambient_documents SET sections = 'no JSON'"))
    log = Log(capsys, "error")
    failed: httpx.Response = await owner.call("GET /interactions/{interaction}/documents")
    (line,) = log.lines("request_failed")
    assert failed.status_code == 500
    assert failed.json()["requestid"] == failed.headers["X-Request-Id"] == line["request"]
    assert (line["client"], line["path"]) == ("clinic", "/interactions/{interaction}/documents/")
