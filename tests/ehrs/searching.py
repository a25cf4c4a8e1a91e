"""Which notes a search finds (FHIR R4 §3.1.1 and the search parameters of DocumentReference)."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from service.fhir.elements import mapping, mappings
from tests.ehrs.wire import Json

CONTROLS = frozenset({"_count", "_page", "_format", "_sort", "_total"})
_PREFIXED = re.compile(r"(eq|ge|le|gt|lt|sa|eb)?(\d{4}.*)")


def is_found(note: Json, parameter: str, value: str) -> bool:
    """Several values apart by commas are alternatives."""
    return any(_MATCHES[parameter](note, one) for one in value.split(","))


def _refers(kind: str, path: Callable[[Json], Iterator[Any]]) -> Callable[[Json, str], bool]:
    """`value` is an id, `Type/id` or a URL that ends so."""
    return lambda note, value: any(f"{kind}/{value.rpartition('/')[2]}" == one.get("reference") for one in path(note))


def _token(path: Callable[[Json], Iterator[Any]], code: str) -> Callable[[Json, str], bool]:
    """`value` is `system|code`, `|code` or `code`."""

    def matches(note: Json, value: str) -> bool:
        system, bar, wanted = value.rpartition("|")
        return any(
            one.get(code) == wanted and (not bar or one.get("system", "") == system) for one in path(note)
        )  # fmt: skip

    return matches


def _dated(path: Callable[[Json], Any]) -> Callable[[Json, str], bool]:
    def matches(note: Json, value: str) -> bool:
        prefixed, when = _PREFIXED.fullmatch(value), path(note)
        if prefixed is None or when is None:
            return False
        first, last = span(prefixed[2])
        begins, ends = span(when)
        return {
            "ge": ends > first, "gt": ends > last, "sa": begins >= last, "le": begins < last, "lt": begins < first,
            "eb": ends <= first,
        }.get(prefixed[1], first <= begins and ends <= last)  # fmt: skip

    return matches


def span(text: str) -> tuple[datetime, datetime]:
    """The first moment that a date or dateTime may mean, and the first that it does not mean any more."""
    if len(text) >= 16:
        moment = datetime.fromisoformat(text)
        exact = timedelta(milliseconds=1) if "." in text else timedelta(seconds=1)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)), moment + exact
    year, month, day = [*(int(part) for part in text.split("-")), 0, 0][:3]
    first = datetime(year, month or 1, day or 1, tzinfo=UTC)
    days = 1 if day else calendar.monthrange(year, month)[1] if month else 366 if calendar.isleap(year) else 365
    return first, first + timedelta(days=days)


def _codings(element: str) -> Callable[[Json], Iterator[Any]]:
    def codings(note: Json) -> Iterator[Any]:
        concepts = note.get(element) or []
        for concept in concepts if isinstance(concepts, list) else [concepts]:
            yield from mappings(concept, "coding")

    return codings


def _identifiers(note: Json) -> Iterator[Any]:
    yield from mappings(note, "identifier")
    if "masterIdentifier" in note:
        yield note["masterIdentifier"]


def _subject(note: Json) -> Iterator[Any]:
    yield from filter(None, [mapping(note, "subject")])


_MATCHES: dict[str, Callable[[Json, str], bool]] = {
    "_id": lambda note, value: note["id"] == value,
    "status": lambda note, value: note["status"] == value,
    "patient": _refers("Patient", _subject),
    "subject": _refers("Patient", _subject),
    "encounter": _refers("Encounter", lambda note: iter(mappings(note, "context", "encounter"))),
    "type": _token(_codings("type"), "code"),
    "category": _token(_codings("category"), "code"),
    "identifier": _token(_identifiers, "value"),
    "date": _dated(lambda note: note.get("date")),
    "period": _dated(lambda note: (mapping(note, "context", "period") or {}).get("start")),
}
PARAMETERS = frozenset(_MATCHES)
