"""FHIR's `dateTime` and `instant` as moments (FHIR R4 §2.24.0.1): comparing their text would ignore offsets and precision."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d))?)?)?",
    re.ASCII,
)


def moment(text: str | None) -> datetime | None:
    """When it was, a partial date standing for its first moment in UTC. None for what is no dateTime.

    Digits beyond microseconds are dropped.
    """
    match = _DATE_TIME.fullmatch(text or "")
    if match is None:
        return None
    year, month, day, time, fraction, offset = match.groups()
    micros = (fraction or "")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(
            f"{year}-{month or '01'}-{day or '01'}T{time or '00:00:00'}.{micros}{(offset or 'Z').replace('Z', '+00:00')}"
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def has_time_of_day(text: str) -> bool:
    return moment(text) is not None and "T" in text


def instant(when: datetime) -> str:
    """A FHIR `instant` in UTC, to the millisecond. Raises ValueError for a time without a zone, which is no moment."""
    if when.tzinfo is None:
        raise ValueError("a time without a zone")
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
