"""Requests that no honest client sends, over a real socket: a 4xx in the one error body, and the next request is answered."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from service.ambient.routing import VALUE_LIMIT
from tests.ambient_service import visit
from tests.engines import AUDIO
from tests.served import JSON, Served, request, served

KIB = 1024


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("house"), api={"audio_max": 3 * KIB * KIB}) as house:
        yield house


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("guarded"), api={"clients": {"recorder": "s1"}}) as house:
        yield house


@pytest.fixture(scope="module")
def interaction(house: Served) -> str:
    return str(house.ask("POST", "/v2/interactions", visit())["interactionId"])


@pytest.fixture(autouse=True)
def the_house_answers_afterwards(house: Served) -> Iterator[None]:
    yield
    began = time.monotonic()
    assert house.ask("GET", "/v2/interactions/?pageSize=1")["interactions"] is not None
    assert time.monotonic() - began < 1


def answers(port: int, *parts: bytes, end: bool = False) -> bytes:
    """Everything that comes back for these bytes until the server closes; a reset raises."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        for part in parts:
            connection.sendall(part)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(64 * KIB), b""))


def answered(port: int, *parts: bytes, end: bool = False) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON body of the only answer."""
    head, _, body = answers(port, *parts, end=end).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, json.loads(body or b"null")


def assert_refused(port: int, expected: int, *parts: bytes, end: bool = False) -> dict[str, str]:
    status, headers, body = answered(port, *parts, end=end)
    assert (status, body["status"]) == (expected, expected), body
    assert set(body) - {"validationErrors"} == {"requestid", "status", "type", "detail"}
    assert body["requestid"] == headers["x-request-id"]
    return headers


HEADERS = [f"X-{number}: {'a' * 1000}" for number in range(70)]


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (400, b"hello\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (400, request("BREW /v2/interactions/")),
        (400, request("CONNECT house.test:80")),
        (400, request("GET http://house.test")),
        (400, request("GET /v2/interactions/", b"", "X-Nul: a\x00b")),
        (400, request("GET /v2/interactions/", b"", " folded: 1")),
        (400, b"GET /v2/interactions/\xff?patient=\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, request("POST /v2/interactions/", b"{}", "Content-Length: 2")),
        (400, request("POST /v2/interactions/", b"{}", "Content-Length: 3")),
        (400, request("POST /v2/interactions/", b"{}", "Transfer-Encoding: chunked")),
        (400, request("POST /v2/interactions/", b"", "Content-Length: -1")),
        (400, request("POST /v2/interactions/", b"", f"Content-Length: {'9' * 40}")),
        (400, request("POST /v2/interactions/", b"", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked, x")),
        (400, request("POST /v2/interactions/", b"", "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n"),
        (400, request("POST /v2/interactions/", b"", "Transfer-Encoding: chunked") + b"2\r\n{}garbage\r\n"),
        (431, request("GET /v2/interactions/", b"", f"X-Long: {'a' * 70_000}")),
        (431, request("GET /v2/interactions/", b"", *HEADERS)),
        (431, request("GET /v2/interactions/?patient=" + "a" * 70_000)),
        (400, request("POST /v2/interactions/", b"{}", "Content-Type: application/json", length=1)),
    ],
    ids=lambda value: value[:40] if isinstance(value, bytes) else None,
)  # fmt: skip
def test_what_is_not_http_is_refused_in_the_one_shape(house: Served, status: int, raw: bytes) -> None:
    assert assert_refused(house.port, status, raw)["connection"] == "close"


@pytest.mark.parametrize("end", [b"", b"Transfer-Encoding: chunked\r\n\r\n0\r\n"], ids=["header", "trailer"])
def test_an_endless_header_is_cut_off_and_the_refusal_arrives(house: Served, end: bytes) -> None:
    head = b"POST /v2/interactions/ HTTP/1.1\r\nHost: localhost\r\n" + end + b"X: "
    assert_refused(house.port, 431, head, *[b"a" * 64 * KIB] * 64)


def test_headers_of_almost_the_limit_are_taken_in_however_small_their_pieces(house: Served) -> None:
    raw = request("GET /v2/interactions/", b"", *HEADERS[:60])
    status, _, body = answered(house.port, *[raw[at : at + 999] for at in range(0, len(raw), 999)])
    assert (status, list(body)) == (200, ["interactions"])


def test_a_refusal_ends_the_connection_after_the_answer_that_is_under_way(house: Served) -> None:
    good = b"GET /v2/interactions/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert re.findall(rb"HTTP/1.1 (\d+)", answers(house.port, good + b"nonsense\r\n\r\n")) == [b"200"]
    assert re.findall(rb"HTTP/1.1 (\d+)", answers(house.port, good + good + b"nonsense\r\n\r\n")) == [b"200"]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (404, "GET /nowhere"),
        (404, "GET /v2/%00"),
        (404, "GET /%ff%fe"),
        (404, "GET //v2//interactions"),
        (404, "GET /v2/interactions/../../livez"),
        (404, "OPTIONS *"),
        (400, "GET /v2/interactions/%00"),
        (400, "GET /v2/interactions/%ed%a0%80/recordings/"),
        (400, "GET /v2/interactions/" + "a" * 10_000),
        (404, "GET /v2/templates/%00"),
        (404, "GET /v2/templates/" + "a" * 10_000),
        (400, "GET /v2/interactions/?index=" + "9" * 400),
        (400, "GET /v2/interactions/?pageSize=1e999"),
        (400, "GET /v2/interactions/?patient=%00"),
        (404, "GET /dead-letters/" + "%f0%9f%92%a9"),
        (400, "GET /visits/a%00b"),
    ],
)  # fmt: skip
def test_hostile_paths_and_queries_are_refused(house: Served, status: int, line: str) -> None:
    assert_refused(house.port, status, request(line))


@pytest.mark.parametrize("host", ["[a:b", "a b", "é", "a:99999999", "", "@evil", "a/b"])
def test_a_hostile_host_does_not_get_into_an_answer(guarded: Served, host: str) -> None:
    """An open house refuses them all."""
    caller = {"Authorization": f"Bearer {guarded.token('recorder', 's1')}", "Tenant-Name": "base"}
    interaction = guarded.ask("POST", "/v2/interactions", visit(), **caller)["interactionId"]
    given = "".join(f"{name}: {value}\r\n" for name, value in {"Host": host, "Connection": "close", **caller}.items())
    status, _, body = answered(guarded.port, f"GET /v2/interactions/{interaction} HTTP/1.1\r\n{given}\r\n".encode())
    assert status in (200, 400)
    assert status == 400 or body["websocketUrl"].startswith(f"ws://127.0.0.1:{guarded.port}/")


@pytest.mark.parametrize(
    "header", ["Tenant-Name: \xff", "Tenant-Name: ../base", f"Tenant-Name: {'a' * 10_000}", "Tenant-Name: a b"]
)
def test_hostile_tenant_names_are_refused(house: Served, header: str) -> None:
    assert_refused(house.port, 400, request("GET /v2/interactions/", b"", header))


GOOD = json.dumps(visit()).encode()
BODIES = {
    "deep": b"[" * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "infinity": b'{"encounter": 1e999}',
    "400 digits": b'{"encounter": ' + b"9" * 400 + b"}",
    "surrogate": b'{"encounter": {"identifier": "\\ud800"}}',
    "not utf-8": b'{"encounter": "\xff\xfe"}',
    "utf-16": json.dumps(visit()).encode("utf-16"),
    "long id": json.dumps(visit(identifier="a" * 10_000)).encode(),
    "nul": json.dumps(visit(identifier="a\x00b")).encode(),
    "twice": GOOD + GOOD,
    "gzip": gzip.compress(GOOD),
    "cut off": GOOD[:-5],
    "many values": b"[" + b"1," * (VALUE_LIMIT + 1) + b"1]",
    "many problems": b'{"encounter": ' + json.dumps([{}] * 10_000).encode() + b"}",
}


@pytest.mark.parametrize("name", BODIES)
def test_hostile_json_is_refused(house: Served, name: str) -> None:
    assert_refused(house.port, 400, request("POST /v2/interactions/", BODIES[name], JSON))


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/plain",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: application/json; charset=latin-1",
        'Content-Type: application/json; charset="utf-16"',
        "Content-Type: \xff",
        "Content-Encoding: gzip",
    ],
)  # fmt: skip
def test_json_by_another_name_is_refused(house: Served, header: str) -> None:
    assert_refused(house.port, 415, request("POST /v2/interactions/", GOOD, header))


@pytest.mark.parametrize(
    "header",
    ["Content-Type: application/json; charset=UTF-8", "Content-Type: application/merge-patch+json", "X-None: 1"],
)
def test_json_by_its_own_name_or_none_is_taken(house: Served, header: str) -> None:
    assert answered(house.port, request("POST /v2/interactions/", json.dumps(visit()).encode(), header))[0] == 201


@pytest.mark.parametrize("path", ["/v2/interactions/", "/livez", "/visits", "/events", "/v2/templates/"])
@pytest.mark.parametrize("method", ["PUT", "PROPFIND", "TRACE", "OPTIONS"])
def test_a_method_that_a_path_lacks_is_405_and_the_others_are_named(house: Served, path: str, method: str) -> None:
    allowed = assert_refused(house.port, 405, request(f"{method} {path}"))["allow"].split(", ")
    assert set(allowed) <= {"GET", "HEAD", "POST"}
    assert ("GET" in allowed) == ("HEAD" in allowed) == (path != "/events")
    assert ("POST" in allowed) == (path in ("/v2/interactions/", "/events"))


def test_head_is_get_without_its_body(house: Served, interaction: str) -> None:
    got = answered(house.port, request(f"GET /v2/interactions/{interaction}"))
    status, headers, body = answered(house.port, request(f"HEAD /v2/interactions/{interaction}"))
    assert (status, headers["content-length"], body) == (200, got[1]["content-length"], None)
    assert answered(house.port, request("HEAD /nowhere"))[0] == 404


def test_an_offer_of_http2_is_passed_over(house: Served) -> None:
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    body = json.dumps(visit()).encode()
    raw = request("POST /v2/interactions/", body, JSON, *offer)
    whole = answers(house.port, raw[:-50], raw[-50:], request("GET /livez"))
    assert re.findall(rb"HTTP/1.1 (\d+)", whole) == [b"201", b"200"]


def test_offers_that_nobody_waits_for_end_the_connection(house: Served, capfd: pytest.CaptureFixture[str]) -> None:
    offer = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: h\r\n\r\n"
    assert re.findall(rb"HTTP/1.1 (\d+)", answers(house.port, offer * 3000)) == [b"200"]
    assert "Error" not in capfd.readouterr().err


HANDSHAKE = (
    b"GET /audio-bridge/v2/interactions/a/streams HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize("before", [1, 2])
def test_a_websocket_is_not_begun_before_what_was_asked_first_is_answered(house: Served, before: int) -> None:
    good = b"GET /v2/interactions/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert re.findall(rb"HTTP/1.1 (\d+)", answers(house.port, good * before + HANDSHAKE)) == [b"200"]


def test_a_websocket_may_follow_an_answer_on_the_same_connection(house: Served) -> None:
    with socket.create_connection(("127.0.0.1", house.port), 10) as connection:
        connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"404" in connection.recv(64 * KIB)
        connection.sendall(HANDSHAKE)
        assert connection.recv(64 * KIB).startswith(b"HTTP/1.1 101 ")


UPLOAD = "POST /v2/interactions/{}/recordings/"
PIECE = b"10000\r\n" + b"a" * 64 * KIB + b"\r\n"


def test_an_upload_that_is_announced_too_large_is_refused_and_not_reset(house: Served, interaction: str) -> None:
    head = request(UPLOAD.format(interaction), length=8 * KIB * KIB)
    assert assert_refused(house.port, 400, head, *[b"a" * 64 * KIB] * 128)["connection"] == "close"


def test_an_upload_that_turns_out_too_large_is_refused_and_not_reset(house: Served, interaction: str) -> None:
    head = request(UPLOAD.format(interaction), b"", "Transfer-Encoding: chunked")
    assert_refused(house.port, 400, head, *[PIECE] * 128, b"0\r\n\r\n")


def test_an_upload_that_waits_to_be_invited_is_invited_only_when_it_is_wanted(house: Served, interaction: str) -> None:
    line = UPLOAD.format(interaction)
    large = request(line, b"", "Expect: 100-continue", length=8 * KIB * KIB)
    assert assert_refused(house.port, 400, large)["connection"] == "close"
    whole = answers(house.port, request(line, b"", "Expect: 100-continue", length=len(AUDIO)), AUDIO)
    assert whole.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 ")


@pytest.mark.parametrize("length", [100, len(AUDIO) + 1])
def test_an_upload_that_is_cut_off_is_not_kept(house: Served, interaction: str, length: int) -> None:
    path = f"/v2/interactions/{interaction}/recordings/"
    before = house.ask("GET", path)
    answers(house.port, request(f"POST {path}", b"", length=length), AUDIO[: length - 1], end=True)
    assert house.ask("GET", path) == before


@pytest.mark.parametrize("name", ["Content-Encoding: gzip", "Content-Type: text/html"])
def test_what_is_no_audio_is_refused_whatever_it_is_called(house: Served, interaction: str, name: str) -> None:
    assert_refused(house.port, 400, request(UPLOAD.format(interaction), gzip.compress(AUDIO), name))


@pytest.mark.parametrize(
    "headers",
    [
        ("Sec-WebSocket-Version: 12", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
        ("Sec-WebSocket-Version: 13",),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "X: \xff"),
    ],
)
@pytest.mark.parametrize("line", ["GET /nowhere", "POST /v2/interactions/", "GET /%ff%00?token=%ff"])
def test_a_handshake_that_is_none_is_refused(house: Served, line: str, headers: tuple[str, ...]) -> None:
    raw = request(line, b"", *headers).replace(b"Connection: close", b"Connection: Upgrade\r\nUpgrade: websocket")
    status = int(answers(house.port, raw).split()[1])
    assert 400 <= status < 500
