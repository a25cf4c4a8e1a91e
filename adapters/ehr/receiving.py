"""The body of an answer becomes audio: raw or out of a Binary in JSON, bounded in bytes and in time."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from adapters.ehr.binary_json import BinaryJson, data_uri, decoded
from adapters.ehr.unpacking import unpacked
from service.errors import NeedsPerson, Retryable
from service.workflow.ports import Absent, Audio

_CHUNK = 64 * 1024
_BESIDE = 2 * 1024 * 1024
_BEFORE = b"\xef\xbb\xbf \t\r\n"
_MOST_BEFORE = 1024 * 1024
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:\s*;[\x20-\x7e]*)?")


@dataclass(frozen=True, slots=True)
class Bounds:
    """`size` in bytes of audio; `timeout` seconds without any of it, `longest` seconds waited for all of it."""

    size: int
    timeout: float
    longest: float


async def audio_of(response: httpx.Response, content_type: str | None, bounds: Bounds) -> Audio:
    """The audio, once its beginning is there: that tells audio from a Binary in JSON and from a page, whatever the headers
    say. No audio begins with `{` or `<`. `content_type` is what the Media says, if anything.

    Raises Absent for an answer without content, Retryable, NeedsPerson `audio_refused`, `audio_too_large`.
    """
    pieces = received(response, bounds)
    first = await _beginning(pieces)
    begins = first.lstrip(_BEFORE)[:1]
    if begins == b"<":
        raise NeedsPerson("audio_refused", "the server answers with a page where audio was asked for")
    if begins == b"{":
        binary, first = BinaryJson(), first[first.index(b"{") :]
        pieces = _content(binary, _joined(first, pieces), _announced(response, 2 * bounds.size + _BESIDE, bounds))
        first, told = await anext(pieces, b""), binary.content_type
    else:
        _announced(response, bounds.size, bounds)
        told = response.headers.get("Content-Type")
    if not first:
        raise Absent("audio")
    return Audio(_capped(_joined(first, pieces), bounds), _media_type(content_type or told))


def inline(data: str, content_type: str | None, bounds: Bounds) -> Audio:
    """Of `Attachment.data`. Raises NeedsPerson, also while it is decoded."""
    if len(data) // 2 > bounds.size:
        raise _too_large(bounds)
    return Audio(_capped(_decoded(data, "Media.content.data is not base64"), bounds), _media_type(content_type))


def in_uri(url: str, content_type: str | None, bounds: Bounds) -> Audio:
    """Of a `data:` URI. Raises NeedsPerson, also while it is decoded."""
    if len(url) // 2 > bounds.size:
        raise _too_large(bounds)
    words = "Media.content.url is a data: URI without base64"
    with _unreadable(words):
        told, data = data_uri(url)
    return Audio(_capped(_decoded(data, words), bounds), _media_type(content_type or told))


async def received(response: httpx.Response, bounds: Bounds) -> AsyncIterator[bytes]:
    """What comes, unpacked, as long as it comes. Raises Retryable, NeedsPerson `audio_refused`."""
    waited, source = 0.0, unpacked(response, _CHUNK)
    while True:
        began, left = time.monotonic(), bounds.longest - waited
        try:
            async with asyncio.timeout(min(bounds.timeout, left)):
                chunk = await anext(source)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if left <= bounds.timeout:
                raise Retryable("audio_too_slow", f"not whole after {bounds.longest:.0f} s") from None
            raise Retryable("audio_unreachable", "the audio stopped flowing") from None
        except (httpx.RequestError, httpx.StreamError) as error:
            raise Retryable("audio_unreachable", type(error).__name__) from None
        waited += time.monotonic() - began
        yield chunk


async def _beginning(pieces: AsyncIterator[bytes]) -> bytes:
    """What comes up to the piece in which something else than white space is; empty where nothing else comes at all.

    Raises NeedsPerson.
    """
    begun = bytearray()
    async for piece in pieces:
        begun += piece
        if piece.lstrip(_BEFORE):
            return bytes(begun)
        if len(begun) > _MOST_BEFORE:
            raise NeedsPerson("audio_refused", "the server answers with white space where audio was asked for")
    return b""


async def _content(binary: BinaryJson, pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """What a Binary in JSON holds; nothing when it has no data. `most` bytes of JSON."""
    taken = 0
    async for piece in pieces:
        taken += len(piece)
        if taken > most:
            raise NeedsPerson("audio_too_large", f"a Binary of more than {most} bytes of JSON")
        with _unreadable("the server answers with JSON that is no Binary with base64"):
            content = binary.feed(piece)
        if content:
            yield content
        if binary.ended:
            break
    if not binary.ended:
        raise Retryable("audio_unreachable", "the Binary was cut off")
    if binary.kind != "Binary":
        raise NeedsPerson("audio_refused", "the server answers with JSON that is no Binary")


async def _decoded(data: str, words: str) -> AsyncIterator[bytes]:
    with _unreadable(words):
        for piece in decoded(data):
            yield piece


async def _capped(chunks: AsyncIterator[bytes], bounds: Bounds) -> AsyncIterator[bytes]:
    taken = 0
    async for chunk in chunks:
        taken += len(chunk)
        if taken > bounds.size:
            raise _too_large(bounds)
        yield chunk


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _announced(response: httpx.Response, most: int, bounds: Bounds) -> int:
    """`most`, which the answer does not say that it will exceed. Raises NeedsPerson."""
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_large(bounds)
    return most


@contextmanager
def _unreadable(words: str) -> Iterator[None]:
    try:
        yield
    except ValueError:
        raise NeedsPerson("audio_refused", words) from None


def _media_type(text: str | None) -> str | None:
    """As it may stand in a header; the engine looks at the bytes anyhow."""
    return text if text and len(text) <= 200 and _MEDIA_TYPE.fullmatch(text) else None


def _too_large(bounds: Bounds) -> NeedsPerson:
    return NeedsPerson("audio_too_large", f"more than {bounds.size} bytes; the limit is AMBIENT_EHR__AUDIO_MAX")
