"""Audio as base64: inline, in a `data:` URI, or in a Binary that came as FHIR JSON. Decoded in pieces, never held whole."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

_PIECE = 256 * 1024
_MOST_BESIDE = 1024 * 1024
_SPACE = b" \t\r\n"
_TOKEN = re.compile(
    rb'\s*+(?:(?P<mark>[{}\[\],:])|"(?P<text>(?:[^"\\]++|\\.)*+)"|(?P<word>[^\s{}\[\],:"]++))', re.DOTALL
)
_QUOTE = re.compile(rb'\s*+"')
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|([/nrt]))")
_CUT_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")


class Base64:
    """base64 with padding (RFC 4648 §4) that comes in pieces; line breaks between are allowed."""

    def __init__(self) -> None:
        self._rest = b""
        self._padded = False

    def decode(self, piece: bytes) -> bytes:
        """What can be decoded so far. Raises ValueError."""
        text = self._rest + piece.translate(None, _SPACE)
        if self._padded and text:
            raise ValueError("more after the padding")
        whole = len(text) - len(text) % 4
        self._rest, text = text[whole:], text[:whole]
        self._padded = text.endswith(b"=")
        return binascii.a2b_base64(text, strict_mode=True)

    def end(self) -> None:
        """Raises ValueError when something is missing."""
        if self._rest:
            raise ValueError("cut off")


def decoded(data: str) -> Iterator[bytes]:
    """The bytes of a base64 string, a piece at a time. Raises ValueError."""
    base64 = Base64()
    for at in range(0, len(data), _PIECE):
        if piece := base64.decode(data[at : at + _PIECE].encode("ascii")):
            yield piece
    base64.end()


def data_uri(url: str) -> tuple[str | None, str]:
    """Content type and base64 of a `data:` URI (RFC 2397). Raises ValueError for one that is not base64."""
    head, comma, data = url.partition(",")
    content_type, base64, _ = head[len("data:") :].partition(";base64")
    if not comma or not base64:
        raise ValueError("not base64")
    return content_type or None, unquote_to_bytes(data).decode("ascii") if "%" in data else data


class BinaryJson:
    """The content of a Binary, out of its JSON that comes in pieces (FHIR R4 §2.26). Holds a piece and 1 MiB at most.

    `/` and `+` may be escaped, as some servers do. `ended`: the whole object came; `kind` is its resourceType.
    """

    def __init__(self) -> None:
        self.ended = False
        self.kind: str | None = None
        self.content_type: str | None = None
        self.has_data = False
        self._text, self._at, self._beside = b"", 0, 0
        self._depth, self._mark = 0, b""
        self._key: bytes | None = None
        self._in_data = False
        self._base64 = Base64()

    def feed(self, piece: bytes) -> bytes:
        """What of the content is in this piece. Raises ValueError for what is no Binary."""
        self._text, self._at = self._text[self._at :] + piece, 0
        found = []
        while not self.ended:
            if self._in_data:
                text, is_whole = self._data()
                found.append(self._base64.decode(text))
                if not is_whole:
                    break
                self._base64.end()
            elif not self._token():
                break
        return b"".join(found)

    def _data(self) -> tuple[bytes, bool]:
        """The base64 up to the closing quote (then it is whole), or up to the end of what came so far."""
        start, end = self._at, self._text.find(b'"', self._at)
        is_whole = end >= 0
        if is_whole:
            self._in_data, self._mark, self._at = False, b'"', end + 1
        else:
            cut = _CUT_ESCAPE.search(self._text, start)
            self._at = end = cut.start() if cut else len(self._text)
        text = self._text[start:end]
        return (_ESCAPE.sub(_unescaped, text) if b"\\" in text else text), is_whole

    def _token(self) -> bool:
        """Takes the next one beside the data, if all of it is there."""
        is_data = self._depth == 1 and self._mark == b":" and self._key == b"data"
        if is_data and (quote := _QUOTE.match(self._text, self._at)):
            self._begin_data(quote.end())
            return True
        token = _TOKEN.match(self._text, self._at)
        end = token.end() if token else len(self._text)
        if self._beside + end - self._at > _MOST_BESIDE:
            raise ValueError("too much beside the data")
        if token is None:
            return False
        self._beside, self._at = self._beside + end - self._at, end
        if token["mark"]:
            self._take_mark(token["mark"])
        elif self._depth == 0:
            raise ValueError("not an object")
        elif token["text"] is not None:
            self._take_text(token["text"])
        return True

    def _begin_data(self, at: int) -> None:
        if self.has_data:
            raise ValueError("data twice")
        self.has_data = self._in_data = True
        self._at = at

    def _take_mark(self, mark: bytes) -> None:
        if self._depth == 0 and mark != b"{":
            raise ValueError("not an object")
        self._depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(mark, 0)
        self._mark = mark
        self.ended = self._depth == 0

    def _take_text(self, text: bytes) -> None:
        if self._depth != 1:
            return
        if self._mark in (b"{", b","):
            self._key = text
        elif self._key == b"resourceType":
            self.kind = text.decode("ascii", "replace")
            if self.kind != "Binary":
                raise ValueError("another resource")
        elif self._key == b"contentType":
            self.content_type = text.replace(b"\\/", b"/").decode("ascii", "replace")


def _unescaped(escape: re.Match[bytes]) -> bytes:
    """A letter outside ASCII becomes one that no base64 has."""
    if escape[2]:
        return b"/" if escape[2] == b"/" else b"\n"
    code = int(escape[1], 16)
    return bytes([code]) if code < 128 else b"!"
