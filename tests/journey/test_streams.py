"""The websocket that an interaction's URL names, over a real socket: it answers in the wire's words, and closes cleanly."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import pytest
from fastapi import FastAPI

from adapters.database.database import Database
from service.ambient.streams import Admit, streams_router
from service.api.serving import FRAME_LIMIT, listening
from tests.ambient_service import ambient_service, logged, visit
from tests.served import Served, served

CLIENTS = {
    "recorder": "s1",
    "operator": {"secret": "s2", "scopes": ["operations"]},
    "elsewhere": {"secret": "s3", "tenant": "other"},
}
CONFIG = {"type": "config", "configuration": {"transcription": {"primaryLanguage": "en"}, "mode": {"type": "facts"}}}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("guarded"), api={"clients": CLIENTS}) as house:
        yield house


@pytest.fixture(scope="module")
def token(guarded: Served) -> str:
    return guarded.token("recorder", "s1")


@pytest.fixture(scope="module")
def url(guarded: Served, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}", "Tenant-Name": "base"}
    return str(guarded.ask("POST", "/v2/interactions", visit(), **headers)["websocketUrl"])


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def said(http: aiohttp.ClientSession, url: str, *frames: Any, **headers: str) -> tuple[list[Any], int | None]:
    """What the server says to these frames, and the code that it closes with."""
    async with http.ws_connect(url, headers=headers, timeout=aiohttp.ClientWSTimeout(ws_close=5)) as socket:
        for frame in frames:
            await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))
        heard = [json.loads(message.data) async for message in socket if message.type is aiohttp.WSMsgType.TEXT]
        return heard, socket.close_code


def assert_denied(heard: list[Any], code: int | None, why: str) -> None:
    """On anything else but a denied configuration the official client waits for ever, or connects again and again."""
    (frame,) = heard
    assert (frame["type"], code) == ("CONFIG_DENIED", 1000)
    assert why in frame["reason"]


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", ""])
@pytest.mark.parametrize("path", ["streams", "stream", "streams/"])
@pytest.mark.parametrize("base", ["/audio-bridge/v2", "/v2"])
async def test_a_configuration_is_denied_with_what_to_do_instead(
    http: aiohttp.ClientSession, url: str, token: str, scheme: str, path: str, base: str
) -> None:
    there = f"{url.replace('streams', path).replace('/audio-bridge/v2', base)}&token={quote(scheme + token)}"
    heard, code = await said(http, there, json.dumps(CONFIG))
    assert [frame["type"] for frame in heard] == ["CONFIG_DENIED"]
    assert "/recordings/" in heard[0]["reason"]
    assert set(heard[0]) == {"type", "reason"}
    assert code == 1000


async def test_a_token_may_come_in_the_header(http: aiohttp.ClientSession, url: str, token: str) -> None:
    heard, code = await said(http, url, json.dumps(CONFIG), Authorization=f"Bearer {token}")
    assert ([frame["type"] for frame in heard], code) == (["CONFIG_DENIED"], 1000)


@pytest.mark.parametrize("frame", [b"RIFF", "{", "[]", '{"type": "end"}', "[" * 5000, "\x00"])
async def test_anything_but_a_configuration_is_told_to_be_one(
    http: aiohttp.ClientSession, url: str, token: str, frame: str | bytes
) -> None:
    heard, code = await said(http, f"{url}&token={token}", frame)
    assert ([message["type"] for message in heard], code) == (["CONFIG_MISSING"], 1000)


@pytest.mark.parametrize("given", ["", "&token=", "&token=Bearer%20", "&token=nonsense", "&token=%00", "&token=%ff"])
async def test_a_token_that_is_not_valid_is_told_so(http: aiohttp.ClientSession, url: str, given: str) -> None:
    assert_denied(*await said(http, url + given, json.dumps(CONFIG)), "the token is not valid")


async def test_another_tenants_token_and_a_client_without_the_scope_are_told_so(
    http: aiohttp.ClientSession, guarded: Served, url: str, token: str
) -> None:
    elsewhere, operator = guarded.token("elsewhere", "s3", "other"), guarded.token("operator", "s2")
    for there, why in (
        (f"{url}&token={elsewhere}", "another tenant"),
        (f"{url}&token={operator}", "lacks the scope"),
        (f"{url.partition('?')[0]}?token={token}", "is required"),
    ):
        assert_denied(*await said(http, there, json.dumps(CONFIG)), why)


async def test_another_tenants_interaction_is_as_unknown_as_one_that_is_not_there(
    http: aiohttp.ClientSession, guarded: Served, url: str, token: str
) -> None:
    elsewhere = guarded.token("elsewhere", "s3", "other")
    for there, why in (
        (f"{url.replace('=base', '=other')}&token={elsewhere}", "interaction not found"),
        (f"{_at(guarded, uuid4())}&token={token}", "interaction not found"),
        (f"{_at(guarded, 'me')}&token={token}", "not a UUID"),
    ):
        assert_denied(*await said(http, there, json.dumps(CONFIG)), why)


def _at(house: Served, interaction: object) -> str:
    return f"{house.url}/audio-bridge/v2/interactions/{interaction}/streams?tenant-name=base"


async def test_a_frame_that_is_too_long_ends_the_connection(http: aiohttp.ClientSession, url: str, token: str) -> None:
    assert (await said(http, f"{url}&token={token}", b"\x00" * FRAME_LIMIT))[0][0]["type"] == "CONFIG_MISSING"
    assert await said(http, f"{url}&token={token}", b"\x00" * (FRAME_LIMIT + 1)) == ([], 1009)


async def test_a_websocket_elsewhere_is_refused_and_leaves_the_house_well(
    http: aiohttp.ClientSession, guarded: Served
) -> None:
    for path in ("/nowhere", "/v2/interactions/", "/sandbox/fhir/R4/Patient"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(guarded.url + path)
        assert 400 <= refused.value.status < 500
    assert (await http.get(guarded.url + "/livez")).status == 200


async def test_no_log_line_holds_the_token(
    http: aiohttp.ClientSession, url: str, token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    await said(http, f"{url}&token={token}", json.dumps(CONFIG))
    await said(http, f"{url}&token={token}x", json.dumps(CONFIG))
    assert token[-20:] not in "".join(capfd.readouterr())


async def test_in_an_open_house_no_token_is_asked_for(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    with served(tmp_path) as house:
        url = house.ask("POST", "/v2/interactions", visit())["websocketUrl"]
        heard, code = await said(http, url, json.dumps(CONFIG))
        assert ([frame["type"] for frame in heard], code) == (["CONFIG_DENIED"], 1000)


async def test_an_open_websocket_does_not_hold_up_the_stop(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    with served(tmp_path) as house:
        url = house.ask("POST", "/v2/interactions", visit())["websocketUrl"]
        socket = await http.ws_connect(url)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    await socket.close()


async def broken(token: str, named: str | None) -> str:
    raise RuntimeError("the database is gone")


async def hanging(token: str, named: str | None) -> str:
    await asyncio.sleep(60)
    return "base"


@pytest.mark.parametrize("admit", [broken, hanging])
async def test_a_failure_is_logged_and_denied_so_that_nobody_connects_again(
    http: aiohttp.ClientSession, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, admit: Admit
) -> None:
    async with ambient_service(database, tmp_path / "blobs") as service:
        app = FastAPI()
        app.include_router(streams_router(service.rooms, admit, patience=0.2))
        async with listening(app, "127.0.0.1", 0) as port:
            path = f"/v2/interactions/{uuid4()}/streams"
            heard, code = await said(http, f"http://127.0.0.1:{port}{path}", json.dumps(CONFIG))
    assert_denied(heard, code, "the request could not be processed")
    assert [line["event"] for line in logged(caplog)] == ["stream_failed"]


async def test_whoever_sends_no_configuration_is_told_so_in_time(
    http: aiohttp.ClientSession, database: Database, tmp_path: Path
) -> None:
    async def everybody(token: str, named: str | None) -> str:
        return "base"

    async with ambient_service(database, tmp_path / "blobs") as service:
        app = FastAPI()
        app.include_router(streams_router(service.rooms, everybody, patience=0.2))
        async with listening(app, "127.0.0.1", 0) as port:
            path = f"/audio-bridge/v2/interactions/{await service.interaction()}/streams"
            async with asyncio.timeout(2):
                heard, code = await said(http, f"http://127.0.0.1:{port}{path}")
    assert ([frame["type"] for frame in heard], code) == (["CONFIG_NOT_PROVIDED"], 1000)
