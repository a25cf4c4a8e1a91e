"""What a broker passes on and the client cannot decode is left out, and the rest of the message is read."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from pamqp import decode, frame

from adapters.rabbitmq.frames import read_whatever_comes

NEVER = struct.pack(">Q", 2**62)
PLAIN = b"\x01aS\x00\x00\x00\x01b"


@pytest.fixture(autouse=True)
def tolerant(monkeypatch: pytest.MonkeyPatch) -> None:
    """For this test alone: others may look at the client as it is."""
    for mapping in (decode.METHODS, decode.TABLE_MAPPING):
        for name, value in mapping.items():
            monkeypatch.setitem(mapping, name, value)  # type: ignore[arg-type]
    read_whatever_comes()


def table(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def read(flags: int, properties: bytes) -> Any:
    """The properties in a content header, as the client reads it off the wire."""
    payload = struct.pack(">HHQH", 60, 0, 5, flags) + properties
    return frame.unmarshal(struct.pack(">BHI", 2, 1, len(payload)) + payload + b"\xce")[2].properties


@pytest.mark.parametrize(("sent", "seen"), [(b"a\xff", "a?"), (b"\xff" * 255, "?" * 255), ("é".encode(), "é")])
def test_text_that_is_not_utf8_is_read_and_never_longer_than_it_was(sent: bytes, seen: str) -> None:
    assert read(0x8000, bytes([len(sent)]) + sent).content_type == seen


def test_a_moment_that_has_no_date_is_none() -> None:
    assert read(0x0040, NEVER).timestamp is None
    assert read(0x0040, struct.pack(">Q", 1_767_603_600)).timestamp == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert read(0x2000, table(PLAIN + b"\x01tT" + NEVER)).headers == {"a": "b", "t": None}


@pytest.mark.parametrize("content", [b"\x01\xffV", PLAIN + b"\x01\xffS\x00\x00\x00\x01b", b"\x01a?"])
def test_a_table_that_cannot_be_read_is_empty_and_what_comes_after_it_is_read(content: bytes) -> None:
    properties = read(0xA000 | 0x0080, b"\x01x" + table(content) + b"\x02id")
    assert (properties.content_type, properties.headers, properties.message_id) == ("x", {}, "id")


def test_tables_in_tables_without_end_are_an_empty_one() -> None:
    content = b"\x01aV"
    for _ in range(5000):
        content = b"\x01aF" + table(content)
    properties = read(0x2000 | 0x0080, table(content) + b"\x02id")
    assert (properties.headers, properties.message_id) == ({}, "id")
