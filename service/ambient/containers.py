"""What an upload is, by its first bytes: whatever it calls itself, and before the rest of it has come."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator

from service.errors import BadAudio

HEAD = 36
"""Bytes that name every container, and the rate of the usual WAV."""

_SPARE = 1024**2
"""Bytes of a WAV that may be something else than sound."""

# WAV (RF64 and BW64 where it is large), Ogg, FLAC, WebM, MP4 and QuickTime, MP3 with and without tags; beyond the wire's
# list what telephones and recorders make: AAC, AMR, AIFF, CAF
_BEGINNINGS = re.compile(
    rb"(?:RIFF|RF64|BW64).{4}WAVE|OggS|fLaC|\x1a\x45\xdf\xa3|.{4}(?:ftyp|moov|mdat|free|skip|wide)"
    rb"|ID3|\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd]|\xff[\xf0\xf1\xf8\xf9]|#!AMR|FORM.{4}AIF[FC]|caff",
    re.DOTALL,
)
_OF_EVEN_RATE = (1, 3, 6, 7)
"""WAV's format tags for samples of one size: integers, floats, A-law, µ-law."""


async def only_audio(chunks: AsyncIterator[bytes], longest: float) -> AsyncIterator[bytes]:
    """The chunks, as long as they may be a recording of at most `longest` seconds.

    Raises BadAudio: `empty`, `undecodable` once the first bytes are there, `too_long` where the container tells.
    """
    head = bytearray()
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break
    if not head:
        raise BadAudio("empty")
    if not _BEGINNINGS.match(head):
        raise BadAudio("undecodable")
    most, size = _most_bytes(head, longest), len(head)
    yield bytes(head)
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise BadAudio("too_long")
        yield chunk


def _most_bytes(head: bytearray, longest: float) -> float:
    """A WAV of even rate cannot hold more bytes, whatever length it announces; other containers do not tell."""
    tag = int.from_bytes(head[20:22], "little")
    if not head.startswith((b"RIFF", b"RF64", b"BW64")) or head[12:16] != b"fmt " or tag not in _OF_EVEN_RATE:
        return math.inf
    sample_rate, frame = int.from_bytes(head[24:28], "little"), int.from_bytes(head[32:34], "little")
    return longest * (sample_rate * frame or math.inf) + _SPARE
