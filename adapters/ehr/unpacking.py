"""The body of an answer without the gzip around it, a piece at a time: a few bytes may claim to be gigabytes.

Audio is asked for unpacked; some stores keep it packed and give it out so to everybody. What is packed twice, or otherwise,
is refused (RFC 9110 §8.4).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

import httpx

from service.errors import NeedsPerson

_GZIP = ("gzip", "x-gzip")
_WITH_GZIP_HEAD = 16 + zlib.MAX_WBITS


def unpacked(response: httpx.Response, most: int) -> AsyncIterator[bytes]:
    """Pieces of at most `most` bytes. Raises NeedsPerson `audio_refused`; while it comes httpx.DecodingError, too, for a
    gzip that is broken or cut off."""
    named = response.headers.get_list("Content-Encoding", split_commas=True)
    encodings = [name.lower() for name in map(str.strip, named) if name.lower() not in ("", "identity")]
    if not encodings:
        return response.aiter_bytes(most)
    if len(encodings) > 1 or encodings[0] not in _GZIP:
        raise NeedsPerson("audio_refused", "a Content-Encoding other than one gzip")
    return _out_of_gzip(response.aiter_raw(most), most)


async def _out_of_gzip(packed: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    members = _Members(most)
    async for piece in packed:
        for content in members.feed(piece):
            yield content
            await asyncio.sleep(0)  # a single piece may hold a thousand
    members.end()


class _Members:
    """Those of a gzip, one after the other (RFC 1952 §2.2)."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._member = zlib.decompressobj(_WITH_GZIP_HEAD)
        self._is_begun = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Inflates no more than is asked for. Raises httpx.DecodingError."""
        while piece:
            self._is_begun = True
            try:
                content = self._member.decompress(piece, self._most)
            except zlib.error:
                raise httpx.DecodingError("no gzip") from None
            if content:
                yield content
            piece = self._member.unconsumed_tail
            if self._member.eof:
                piece = self._member.unused_data
                self._member, self._is_begun = zlib.decompressobj(_WITH_GZIP_HEAD), False

    def end(self) -> None:
        """Raises httpx.DecodingError when something is missing."""
        if self._is_begun:
            raise httpx.DecodingError("cut off")
