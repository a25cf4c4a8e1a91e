"""WAV files whose header names less sound than the file holds: the recorder ended before it could write the size."""

from __future__ import annotations

import re
from pathlib import Path

_HEADER = 8
_CHUNK_NAME = re.compile(rb"[A-Za-z0-9_ ]{4}")
_MOST_CHUNKS = 100


def understates_its_size(audio: Path) -> bool:
    """Whether what follows the sound is no chunk of the container (RIFF, Multimedia Programming Interface 1.0, 1991)."""
    size = audio.stat().st_size
    with audio.open("rb") as file:
        head = file.read(12)
        if not head.startswith(b"RIFF") or head[8:] != b"WAVE":
            return False
        for _ in range(_MOST_CHUNKS):
            name, length = _chunk(file.read(_HEADER))
            if not name:
                return False
            end = file.tell() + length + length % 2
            file.seek(end)
            if name == b"data":
                return end + _HEADER <= size and not _CHUNK_NAME.fullmatch(file.read(4))
    return False


def _chunk(header: bytes) -> tuple[bytes, int]:
    """Name and length in bytes; no name where the file has ended."""
    return (header[:4], int.from_bytes(header[4:], "little")) if len(header) == _HEADER else (b"", 0)
