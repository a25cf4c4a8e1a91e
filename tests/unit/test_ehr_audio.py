"""Audio of a Media: from where it may come, and how much of it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import httpx
import pytest

from adapters.ehr.audio import AudioSource
from service.errors import NeedsPerson, Retryable
from service.workflow.ports import Absent, Expired

BASE = "https://ehr.test/fhir/R4"
HOSTS = frozenset({"store.test", "Store2.test:9000"})
OGG = {"Content-Type": "audio/ogg"}


async def listen(
    attachment: dict[str, Any], answer: Any = None, timeout: float = 5, asked: list[str] | None = None
) -> tuple[bytes, str | None]:
    def ehr(request: httpx.Request) -> Any:
        if asked is not None:
            asked.append(f"ehr {request.url}")
        return answer(request) if callable(answer) else answer or httpx.Response(200, content=b"sound", headers=OGG)

    def elsewhere(request: httpx.Request) -> Any:
        if asked is not None:
            asked.append(f"elsewhere {request.url}")
        return answer(request) if callable(answer) else answer or httpx.Response(200, content=b"sound", headers=OGG)

    clients = [httpx.AsyncClient(transport=httpx.MockTransport(side)) for side in (ehr, elsewhere)]
    source = AudioSource(*clients, BASE, HOSTS, 10, timeout)
    async with source.open(attachment) as audio:
        return b"".join([chunk async for chunk in audio.chunks]), audio.content_type


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("Binary/1", f"ehr {BASE}/Binary/1"),
        (f"{BASE}/Binary/1/_history/2", f"ehr {BASE}/Binary/1/_history/2"),
        ("Binary/1/_history/2", f"ehr {BASE}/Binary/1/_history/2"),
        ("http://ehr.test:80/fhir/R4/Binary/1/_history/v-2.a", f"ehr {BASE}/Binary/1/_history/v-2.a"),
        ("http://ehr.test/fhir/R4/Binary/1", f"ehr {BASE}/Binary/1"),
        ("https://ehr.test/storage/1?sig=x", "elsewhere https://ehr.test/storage/1?sig=x"),
        ("https://store.test/1", "elsewhere https://store.test/1"),
        ("https://STORE.test:443/1", "elsewhere https://store.test/1"),
        ("http://store2.test:9000/1", "elsewhere http://store2.test:9000/1"),
    ],
)
async def test_where_audio_is_fetched_from(url: str, asked: str) -> None:
    seen: list[str] = []
    assert await listen({"url": url}, asked=seen) == (b"sound", "audio/ogg")
    assert seen == [asked]


@pytest.mark.parametrize(
    "url",
    [
        "", "https://evil.test/1", "http://ehr@evil.test/", "https://store.test@evil.test/", "https://user:pw@store.test/", "https://store.test\\@evil.test/",
        "https://store.test.evil.test/", "https://evil.test/store.test", "https://evil.test#store.test", "https://store.test:22/", "https://store2.test/",
        "//store.test/1", "ftp://store.test/1", "file:///etc/passwd", "#b1", "urn:uuid:1", "http://[::1", "http://store.test:99999/",
        "http://store.test:x/", "http://127.0.0.1/", "http://169.254.169.254/latest", "Binary/..", "Binary/../../admin", "https://ehr.test:8443/x", "Binary/1/_history/..",
        f"{BASE}/Binary/1/_history/..", f"{BASE}/Binary/1/_history/.", "x" * 5000,
    ],
)  # fmt: skip
async def test_no_other_address_is_ever_asked(url: str) -> None:
    seen: list[str] = []
    with pytest.raises(NeedsPerson, match="audio_host_not_allowed"):
        await listen({"url": url}, asked=seen)
    assert seen == []


@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        (httpx.Response(404), Absent, "audio"),
        (httpx.Response(410), Absent, "audio"),
        (httpx.Response(304), NeedsPerson, "audio_refused: 304"),
        (httpx.Response(302), NeedsPerson, "audio_refused: 302"),
        (httpx.Response(401), NeedsPerson, "audio_refused: 401"),
        (httpx.Response(403, text="<Error>Mrs. Hale"), NeedsPerson, "audio_refused: 403"),
        (httpx.Response(429, headers={"Retry-After": "7"}), Retryable, "audio_unavailable: 429"),
        (httpx.Response(500), Retryable, "audio_unavailable: 500"),
        (httpx.Response(200), Absent, "audio"),
        (httpx.Response(200, content=b"{}", headers={"Content-Type": "application/fhir+json"}), NeedsPerson, "JSON"),
        (httpx.Response(200, html="<html>Mrs. Hale"), NeedsPerson, "a page"),
        (httpx.Response(200, content=b"x" * 11), NeedsPerson, "audio_too_large"),
    ],
)
async def test_what_an_answer_means(response: httpx.Response, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as failed:
        await listen({"url": "Binary/1"}, response)
    assert "Hale" not in str(failed.value)
    assert getattr(failed.value, "after", None) == (7 if response.status_code == 429 else None)


async def test_a_stream_without_a_length_is_cut_off_at_the_limit() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"xxxx"

    with pytest.raises(NeedsPerson, match="audio_too_large"):
        await listen({"url": "Binary/1"}, lambda _: httpx.Response(200, content=endless()))
    assert sent < 200_000


async def test_a_connection_that_breaks_while_streaming() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise httpx.ReadError("10.0.0.1")

    with pytest.raises(Retryable, match="audio_unreachable: ReadError"):
        await listen({"url": "Binary/1"}, lambda _: httpx.Response(200, content=broken()))


@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_a_server_that_cannot_be_reached(failure: type[httpx.RequestError]) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise failure("10.0.0.1")

    with pytest.raises(Retryable, match="audio_unreachable"):
        await listen({"url": "Binary/1"}, fail)


async def test_a_server_that_falls_silent() -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    async def silence() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(60)

    for answer in (hang, lambda _: httpx.Response(200, content=silence())):
        with pytest.raises(Retryable, match="audio_unreachable"):
            await listen({"url": "Binary/1"}, answer, timeout=0.01)


@pytest.mark.parametrize(
    ("url", "is_asked"),
    [("Binary/1", False), ("https://ehr.test/storage/1", False), ("https://ehr.test:443/1", False), ("https://store.test/1", True)],
)  # fmt: skip
async def test_a_parked_ehr_is_not_asked_for_audio_but_other_hosts_are(url: str, is_asked: bool) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200, content=b"sound")

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    source = AudioSource(http, http, BASE, HOSTS, 10, 5)
    with source.destination.call() as call:
        call.unanswered(no_connection=True)
    with nullcontext() if is_asked else pytest.raises(Retryable, match="ehr_parked"):
        async with source.open({"url": url}):
            pass
    assert bool(asked) is is_asked


async def test_audio_that_the_ehr_does_not_give_out_for_now_parks_it() -> None:
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503, headers={"Retry-After": "9"})))
    source = AudioSource(http, http, BASE, HOSTS, 10, 5)
    for url, reopens_in in (("https://store.test/1", 0), ("Binary/1", 9)):
        with pytest.raises(Retryable, match="audio_unavailable: 503"):
            async with source.open({"url": url}):
                pass
        assert source.destination.reopens_in == pytest.approx(reopens_in, abs=1)


@pytest.mark.parametrize("piece", [1, 64 * 1024])
async def test_audio_that_only_drips_is_given_up(piece: int) -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(100):
            await asyncio.sleep(0.01)
            yield b"x" * piece

    async def drain() -> None:
        async with source.open({"url": "Binary/1"}) as audio:
            async for _ in audio.chunks:
                pass

    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=drip())))
    source = AudioSource(http, http, BASE, HOSTS, 10**9, 5, longest=0.05)
    with pytest.raises(Retryable, match="audio_too_slow"):
        await drain()


async def test_an_engine_that_takes_its_time_is_not_the_audio_s_fault() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(64 * 1024)

    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=pieces())))
    source = AudioSource(http, http, BASE, HOSTS, 10**9, 5, longest=0.1)
    async with source.open({"url": "Binary/1"}) as audio:
        async for _ in audio.chunks:
            await asyncio.sleep(0.06)


@pytest.mark.parametrize(
    ("url", "response", "error"),
    [
        ("https://store.test/1", httpx.Response(403, text="<Error>Mrs. Hale"), Expired),
        ("https://store.test/1", httpx.Response(410), Expired),
        ("https://ehr.test/storage/1?sig=x", httpx.Response(403), Expired),
        ("https://store.test/1", httpx.Response(400, text="<Error><Code>ExpiredToken</Code>"), Expired),
        ("https://store.test/1", httpx.Response(400, text="<Error><Code>AccessDenied</Code>"), Expired),
        ("https://store.test/1", httpx.Response(400, text="<Error><Code>EntityTooLarge</Code>"), NeedsPerson),
        ("https://store.test/1", httpx.Response(400, text="<Code>ExpiredToken</Code>".rjust(2**20)), NeedsPerson),
        ("https://store.test/1", httpx.Response(401), NeedsPerson),
        ("https://store.test/1", httpx.Response(404), Absent),
        ("Binary/1", httpx.Response(403), NeedsPerson),
        ("Binary/1", httpx.Response(400, text="<Error><Code>ExpiredToken</Code>"), NeedsPerson),
        ("Binary/1", httpx.Response(410), Absent),
    ],
)
async def test_which_refusals_ask_for_a_fresh_url(url: str, response: httpx.Response, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        await listen({"url": url}, response)
    assert "Hale" not in str(raised.value)


@pytest.mark.parametrize("told", ["audio/ogg\r\nX-Evil: 1", "caf\u00e9/ogg", "ogg", "a/" + "b" * 300, " "])
async def test_a_content_type_that_cannot_stand_in_a_header_is_left_out(told: str) -> None:
    assert await listen({"url": "Binary/1", "contentType": told}) == (b"sound", None)


async def test_inline_audio_needs_no_server() -> None:
    data = base64.encodebytes(b"sound").decode()
    assert await listen({"data": data, "contentType": "audio/wav", "url": "https://evil.test/"}) == (
        b"sound",
        "audio/wav",
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("!!!!", "audio_refused"),
        ("QQ", "audio_refused"),
        ("caf\u00e9", "audio_refused"),
        ("QUFB" * 9, "audio_too_large"),
    ],
)
async def test_inline_data_that_cannot_be_used(data: str, reason: str) -> None:
    with pytest.raises(NeedsPerson, match=reason):
        await listen({"data": data})


async def test_empty_data_beside_a_url_means_the_url() -> None:
    assert await listen({"data": "", "url": "Binary/1"}) == (b"sound", "audio/ogg")


async def test_what_the_media_says_about_the_type_comes_first() -> None:
    assert await listen({"url": "Binary/1", "contentType": "audio/wav"}) == (b"sound", "audio/wav")
