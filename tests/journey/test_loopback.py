"""An API without authentication, over a real socket: pages of other sites in a browser of this machine cannot use it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.served import Served, served

NOBODYS = "00000000-0000-4000-8000-000000000000"
OWN = ["localhost", "LocalHost:8000", "127.0.0.1", "127.8.9.1:1", "[::1]", "[::1]:8000", "Notes.test", "notes.test:444"]
OTHER = [
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[2001:db8::1]", "[::1].evil.example",
    "evil.example@localhost", "localhost@evil.example", "localhost/evil.example", "localhost, evil.example", "localhost:evil.example", "[", "",
]  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("open"), http={"public_url": "https://notes.test:444/ambient/"}) as house:
        yield house


def asked(house: Served, line: str, *headers: str) -> tuple[int, str, Any]:
    """Status, `X-Request-Id` and JSON body."""
    head = "\r\n".join([f"{line} HTTP/1.1", "Connection: close", *headers, "", ""])
    with socket.create_connection(("127.0.0.1", house.port), 10) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    first, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = first.decode().split("\r\n")
    given = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), given.get("x-request-id", ""), json.loads(body or b"null")


def assert_forbidden(house: Served, line: str, *headers: str) -> None:
    status, ident, body = asked(house, line, *headers)
    assert (status, body["status"], body["type"]) == (403, 403, "A0001"), (line, headers)
    assert body["requestid"] == ident
    assert "AMBIENT_API__CLIENTS" in body["detail"]
    assert "evil" not in json.dumps(body)


def test_this_machine_and_the_public_url_are_served(house: Served) -> None:
    for host in OWN:
        assert asked(house, "GET /v2/interactions/", f"Host: {host}")[0] == 200, host
        for scheme in ("http", "https"):
            origin = f"Origin: {scheme}://{host}"
            assert asked(house, "GET /v2/interactions/", "Host: localhost", origin)[0] == 200, origin


def test_another_host_is_forbidden(house: Served) -> None:
    for host in OTHER:
        assert_forbidden(house, "GET /v2/interactions/", f"Host: {host}")
    assert_forbidden(house, "GET /v2/interactions/")
    assert_forbidden(house, "GET /v2/interactions/", "Host: localhost", "Host: evil.example")


@pytest.mark.parametrize("path", ["/events", f"/v2/interactions/{NOBODYS}/recordings/", "/sandbox/fhir/R4/Patient", "/nowhere"])  # fmt: skip
def test_a_page_of_another_site_is_forbidden_to_send_anything(house: Served, path: str) -> None:
    for origin in ("null", "http://", "file://localhost", *(f"http://{host}" for host in OTHER)):
        assert_forbidden(house, f"POST {path}", "Host: localhost", f"Origin: {origin}", "Content-Type: text/plain")


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
async def test_a_page_of_another_site_gets_no_websocket(house: Served, headers: dict[str, str]) -> None:
    url = f"{house.url}/v2/interactions/{NOBODYS}/streams"
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(url, headers=headers)
        assert refused.value.status == 403
        async with http.ws_connect(url, headers={"Origin": house.url}) as socket:
            assert not socket.closed
