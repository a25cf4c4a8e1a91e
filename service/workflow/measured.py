"""Audio as it flows past: how much it is, and whether it is what the Attachment describes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator

from service.fhir.elements import Json, string

_HEX = re.compile(r"[0-9a-fA-F]+")
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


class Measured:
    """Passes audio on and measures it: bytes, SHA-256 (our identity of it) and SHA-1 (FHIR's `Attachment.hash`).

    `whole` once its source has ended.
    """

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self._sha256 = hashlib.sha256()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._size = 0
        self.whole = False

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._source:
            self._sha256.update(chunk)
            self._sha1.update(chunk)
            self._size += len(chunk)
            yield chunk
        self.whole = True

    def differs(self, content: Json) -> str | None:
        """The element of the Attachment that says something else than the bytes do, if one does (FHIR R4 §2.24.0.14)."""
        size, digest = _size(content), digest_said(content)
        if size is not None and size != self._size:
            return "content.size"
        if digest is not None and digest not in (self._sha1.digest(), self._sha256.digest()):
            return "content.hash"
        return None

    def knows_hash(self, content: Json) -> bool:
        """False for a hash in a form that is neither SHA-1 nor SHA-256: it says nothing then."""
        return string(content, "hash") is None or digest_said(content) is not None

    def result(self) -> dict[str, object]:
        return {"sha256": self._sha256.hexdigest(), "size": self._size}


def _size(content: Json) -> int | None:
    """R5 writes it as a string (integer64)."""
    size = content.get("size")
    if isinstance(size, str) and _DIGITS.fullmatch(size):
        return int(size)
    return size if isinstance(size, int) and not isinstance(size, bool) else None


def digest_said(content: Json) -> bytes | None:
    """SHA-1 (R4) or SHA-256, as base64, as hexadecimal, or as the base64 of hexadecimal, all of which are sent."""
    text = (string(content, "hash") or "").strip()
    for said in (text, _unwrapped(text).decode("latin-1")):
        if len(said) in (40, 64) and _HEX.fullmatch(said):
            return bytes.fromhex(said)
    raw = _unwrapped(text)
    return raw if len(raw) in (20, 32) else None


def _unwrapped(text: str) -> bytes:
    """What base64 holds; nothing when it is none. Padding may be missing."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""
