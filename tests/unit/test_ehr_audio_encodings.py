"""Audio that a server packs: one gzip is unpacked a piece at a time, anything else is refused, and none is asked for."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from adapters.ambient.network import Network
from adapters.ehr.audio import AudioSource
from service.errors import NeedsPerson, Retryable
from service.workflow.ports import Absent, Expired
from tests.journey.edge_cases.audio_store import audio_store

SOUND = b"OggS" + bytes(range(256)) * 700
MIB = 1024 * 1024


async def fetched(body: bytes, *encodings: str, cut: int = 1000, status: int = 200, limit: int = MIB) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), cut):
            yield body[at : at + cut]

    headers = [("Content-Encoding", encoding) for encoding in encodings]
    answer = httpx.Response(status, content=pieces(), headers=headers)
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer))
    source = AudioSource(http, http, "https://ehr.test/fhir", frozenset({"store.test"}), limit, 5)
    async with source.open({"url": "https://store.test/1"}) as audio:
        return b"".join([chunk async for chunk in audio.chunks])


def bomb(mebibytes: int) -> bytes:
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packing.compress(bytes(MIB)) for _ in range(mebibytes)) + packing.flush()


async def test_no_encoding_is_asked_for() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Accept-Encoding"])
        return httpx.Response(200, content=b"sound")

    asked: list[str] = []
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    source = AudioSource(http, http, "https://ehr.test/fhir", frozenset({"store.test"}), MIB, 5)
    for url in ("Binary/1", "https://store.test/1", "https://ehr.test/else"):
        async with source.open({"url": url}):
            pass
    assert asked == ["identity"] * 3


@pytest.mark.parametrize("encodings", [(), ("",), ("identity",), ("Identity, IDENTITY",), ("identity", "")])
async def test_what_is_not_packed_is_taken_as_it_is(encodings: tuple[str, ...]) -> None:
    assert await fetched(SOUND, *encodings) == SOUND


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "x-gzip", "identity, gzip"])
@pytest.mark.parametrize("cut", [1, 7, 100_000])
async def test_one_gzip_is_unpacked(encoding: str, cut: int) -> None:
    assert await fetched(gzip.compress(SOUND), encoding, cut=cut) == SOUND


@pytest.mark.parametrize("cut", [1, 100_000])
async def test_a_gzip_of_several_members_is_unpacked_to_its_end(cut: int) -> None:
    """RFC 1952 \u00a72.2: a file is a series of members."""
    packed = gzip.compress(b"") + gzip.compress(SOUND) + gzip.compress(b"more")
    assert await fetched(packed, "gzip", cut=cut) == SOUND + b"more"


@pytest.mark.parametrize(
    "encodings", [("gzip, gzip",), ("gzip", "gzip"), ("GZIP,x-gzip",), ("deflate",), ("br",), ("zstd",), ("sound",)]
)
async def test_any_other_encoding_is_refused(encodings: tuple[str, ...]) -> None:
    with pytest.raises(NeedsPerson, match=r"audio_refused: .+Content-Encoding"):
        await fetched(SOUND, *encodings)
    with pytest.raises(NeedsPerson, match="audio_refused"):
        await fetched(SOUND, *encodings, status=400)


@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(SOUND)[:-1], gzip.compress(SOUND)[:300], gzip.compress(SOUND) + b"x"]
)
async def test_a_gzip_that_is_broken_or_cut_off_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(Retryable, match="audio_unreachable"):
        await fetched(body, "gzip")


async def test_a_gzip_of_nothing_is_no_audio() -> None:
    with pytest.raises(Absent):
        await fetched(gzip.compress(b""), "gzip")


async def test_a_refusal_that_is_packed_is_read_too() -> None:
    with pytest.raises(Expired):
        await fetched(gzip.compress(b"<Error><Code>ExpiredToken</Code></Error>"), "gzip", status=400)


@pytest.mark.parametrize(
    ("encoding", "status", "reason"),
    [
        ("gzip", 200, "audio_too_large"),
        ("gzip", 400, "audio_refused: 400"),
        ("gzip, gzip", 200, "audio_refused: a Content-Encoding"),
        ("gzip, gzip", 400, "audio_refused: a Content-Encoding"),
    ],
)
async def test_few_bytes_that_claim_to_be_many_are_never_held(encoding: str, status: int, reason: str) -> None:
    """Over real HTTP, since a transport may unpack too."""
    body = bomb(64)
    body = gzip.compress(body) if encoding == "gzip, gzip" else body
    async with (
        audio_store(lambda _: (status, {"Content-Encoding": encoding}, body)) as store,
        httpx.AsyncClient(transport=Network(), trust_env=False) as http,
    ):
        source = AudioSource(http, http, "https://ehr.test/fhir", frozenset({f"127.0.0.1:{store.port}"}), MIB, 5)
        tracemalloc.start()
        try:
            with pytest.raises(NeedsPerson, match=reason):
                await drained(source, store.url("a"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 4 * MIB
    assert "accept-encoding: identity\r\n" in store.heads[0].lower()


async def drained(source: AudioSource, url: str) -> None:
    async with source.open({"url": url}) as audio:
        async for _ in audio.chunks:
            pass
