"""What the client cannot decode must not end the connection.

The broker passes on short strings that are not UTF-8, header names that are not, and timestamps beyond the year 9999 (one
in microseconds is enough). The client gives up its connection over each, and finds the same message first when it is
back: one sender's mistake would keep everybody's events away, and count against the delivery limit of each.
"""

from __future__ import annotations

from datetime import datetime

from pamqp import decode
from pamqp.common import FieldTable

_short_str, _timestamp, _table = decode.short_str, decode.timestamp, decode.field_table


def read_whatever_comes() -> None:
    """For the whole process; safe to call often."""
    decode.METHODS["shortstr"] = _tolerant_short_str
    decode.METHODS["timestamp"] = decode.TABLE_MAPPING[b"T"] = _tolerant_timestamp
    decode.METHODS["table"] = _tolerant_table


def _tolerant_short_str(value: bytes) -> tuple[int, str]:
    """With `?` for what is not UTF-8, which is never longer than what was sent: a copy still fits."""
    try:
        return _short_str(value)
    except UnicodeDecodeError:
        end = 1 + value[0]
        return end, value[1:end].decode(errors="replace").replace("\ufffd", "?")


def _tolerant_timestamp(value: bytes) -> tuple[int, datetime | None]:
    """None for a moment that has no date."""
    try:
        return _timestamp(value)
    except (ValueError, OverflowError, OSError):
        return 8, None


def _tolerant_table(value: bytes) -> tuple[int, FieldTable]:
    """No headers at all where a name is not UTF-8, or tables are nested hundreds of levels deep."""
    try:
        consumed, table = _table(value)
        return consumed, table if isinstance(table, dict) else {}
    except (ValueError, RecursionError):
        return 4 + int.from_bytes(value[:4], "big"), {}
