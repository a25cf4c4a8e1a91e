"""Audio as base64: a Binary that comes as FHIR JSON, inline data, `data:` URIs; in pieces, however they are cut."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from adapters.ehr.audio import AudioSource
from adapters.ehr.binary_json import BinaryJson, decoded
from service.errors import NeedsPerson, Retryable
from service.workflow.ports import Absent, Audio

SOUND = b"OggS" + bytes(range(256)) * 3 + b"\xfb\xff\xbe"
TEXT = base64.b64encode(SOUND).decode()


def binary(data: str | None = TEXT, **more: Any) -> str:
    return json.dumps({"resourceType": "Binary", "id": "1", **more, **({} if data is None else {"data": data})})


async def fetched(body: str | bytes, cut: int = 50, limit: int = 10_000, **headers: str) -> tuple[bytes, Audio]:
    content = body.encode() if isinstance(body, str) else body

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(content), cut):
            yield content[at : at + cut]

    answer = httpx.Response(200, content=pieces(), headers=headers or {"Content-Type": "application/fhir+json"})
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer))
    source = AudioSource(http, http, "https://ehr.test/fhir", frozenset(), limit, 5)
    async with source.open({"url": "Binary/1"}) as audio:
        return b"".join([chunk async for chunk in audio.chunks]), audio


async def test_a_binary_in_json_is_decoded() -> None:
    sound, audio = await fetched(binary(contentType="audio/ogg"))
    assert (sound, audio.content_type) == (SOUND, "audio/ogg")


async def test_a_byte_order_mark_does_no_harm() -> None:
    assert (await fetched("\ufeff \n" + binary()))[0] == SOUND


@pytest.mark.parametrize("space", [" ", "\n", "\r\n\t "])
@pytest.mark.parametrize("amount", [2**16, 2**17 + 3])
async def test_white_space_before_a_binary_in_json_does_no_harm(space: str, amount: int) -> None:
    """However much of it comes in the first piece (RFC 8259 \u00a72)."""
    assert (await fetched("\ufeff" + space * (amount // len(space) + 1) + binary(), cut=2**14))[0] == SOUND


async def test_white_space_before_a_page_or_sound_does_no_harm() -> None:
    with pytest.raises(NeedsPerson, match="a page"):
        await fetched(" " * 70_000 + "<html>")
    sound = b" " * 70_000 + SOUND
    assert (await fetched(sound, limit=100_000))[0] == sound


async def test_white_space_alone_is_no_audio() -> None:
    with pytest.raises(Absent):
        await fetched("\r\n" * 40_000, cut=2**14)


async def test_white_space_without_an_end_is_refused() -> None:
    with pytest.raises(NeedsPerson, match=r"audio_refused: .+ white space"):
        await fetched(" " * 2**22, cut=2**16, limit=2**23)


@pytest.mark.parametrize(
    "body",
    [
        binary().replace("/", "\\/"),
        binary().replace("+", "\\u002B").replace("/", "\\u002f").replace("=", "\\u003D"),
        json.dumps({"resourceType": "Binary", "data": base64.encodebytes(SOUND).decode()}, indent=2),
        json.dumps({"data": TEXT, "contentType": "audio/ogg", "resourceType": "Binary"}),
        binary(meta={"tag": [{"data": "QQ=="}]}, language='"data": "x"', x=None, y=[1, {"data": 2}]),
        '{"resourceType":"Binary","data"\n :\t"' + TEXT + '"}',
    ],
)
@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 64, 10_000])
def test_a_binary_is_read_however_it_is_written_and_cut(body: str, piece: int) -> None:
    reading, content = BinaryJson(), body.encode()
    assert b"".join(reading.feed(content[at : at + piece]) for at in range(0, len(content), piece)) == SOUND
    assert reading.ended
    assert reading.kind == "Binary"


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (binary(None), Absent, "audio"),
        (binary(""), Absent, "audio"),
        (binary("QQ"), NeedsPerson, "audio_refused"),
        (binary("QQ==QQ=="), NeedsPerson, "audio_refused"),
        (binary("caf\u00e9"), NeedsPerson, "audio_refused"),
        (binary('QUFB\\"QUFB'), NeedsPerson, "audio_refused"),
        (json.dumps({"resourceType": "OperationOutcome", "text": "Mrs. Hale"}), NeedsPerson, "audio_refused"),
        (json.dumps({"resourceType": "Media", "data": TEXT}), NeedsPerson, "audio_refused"),
        (json.dumps({"data": TEXT}), NeedsPerson, "audio_refused"),
        ('{"resourceType":"Binary","data":"QUFB","data":"QUFB"}', NeedsPerson, "audio_refused"),
        (binary()[:-50], Retryable, "audio_unreachable: the Binary was cut off"),
        (binary(x="y" * 2**21), NeedsPerson, "audio_refused"),
        ("{" + '"x":1,' * 2**18, NeedsPerson, "audio_refused"),
        (binary("QUFB" * 3000 + "QUFBQUFB" * 200), NeedsPerson, "audio_too_large: more than 10000"),
        ('{"resourceType":"Binary","data":"' + "\n" * 2_200_000, NeedsPerson, "audio_too_large"),
        ("{" + " " * 2_200_000, NeedsPerson, "audio_"),
    ],
)
async def test_json_that_gives_no_audio(body: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        await fetched(body, cut=2**16)
    assert "Hale" not in str(raised.value)


@pytest.mark.parametrize("told", ["application/fhir+json", "text/html", "application/json", "image/png"])
async def test_the_bytes_decide_what_an_answer_is_and_not_its_content_type(told: str) -> None:
    assert (await fetched(SOUND, **{"Content-Type": told}))[0] == SOUND


async def test_a_binary_in_json_that_calls_itself_audio_is_decoded() -> None:
    assert (await fetched(binary(), **{"Content-Type": "audio/ogg"}))[0] == SOUND


async def listen(attachment: dict[str, Any], limit: int = 10_000) -> tuple[bytes, str | None]:
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    source = AudioSource(http, http, "https://ehr.test/fhir", frozenset(), limit, 5)
    async with source.open(attachment) as audio:
        return b"".join([chunk async for chunk in audio.chunks]), audio.content_type


@pytest.mark.parametrize(
    ("url", "content_type"),
    [
        (f"data:audio/ogg;base64,{TEXT}", "audio/ogg"),
        (f"data:audio/ogg;codecs=opus;base64,{TEXT}", "audio/ogg;codecs=opus"),
        (f"data:;base64,{TEXT}", None),
        (f"DATA:audio/ogg;base64,{TEXT.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}", "audio/ogg"),
        ("data:audio/ogg;base64," + base64.b64encode(SOUND * 10).decode(), "audio/ogg"),
    ],
)
async def test_a_data_uri_holds_its_audio_itself(url: str, content_type: str | None) -> None:
    sound, told = await listen({"url": url})
    assert sound in (SOUND, SOUND * 10)
    assert told == content_type


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("data:", "audio_refused"),
        ("data:audio/ogg,sound", "audio_refused"),
        ("data:audio/ogg;base64,!!!", "audio_refused"),
        ("data:audio/ogg;base64,%FF%FF", "audio_refused"),
        ("data:audio/ogg;base64," + "QUFB" * 4000, "audio_too_large"),
        ("data:audio/ogg;base64," + "QUFB" * 40_000, "audio_too_large"),
    ],
)
async def test_a_data_uri_that_cannot_be_used(url: str, reason: str) -> None:
    with pytest.raises(NeedsPerson, match=reason):
        await listen({"url": url})


def test_inline_data_is_decoded_in_pieces() -> None:
    data = base64.encodebytes(bytes(3_000_000)).decode()
    pieces = list(decoded(data))
    assert b"".join(pieces) == bytes(3_000_000)
    assert max(map(len, pieces)) <= 200 * 1024
