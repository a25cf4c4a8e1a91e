"""What emulated EHRs do with the notes that they are sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service.fhir.elements import mappings, string
from tests.ehrs.wire import Json


def only(note: Json, *paths: str) -> Json:
    """A copy with these elements alone, each named by its path."""
    kept: Json = {}
    for path in paths:
        here: Any = note
        for name in path.split("."):
            here = here.get(name) if isinstance(here, dict) else None
        if here is not None:
            _put(kept, path.split("."), here)
    return kept


def _put(resource: Json, path: list[str], value: Any) -> None:
    for name in path[:-1]:
        resource = resource.setdefault(name, {})
    resource[path[-1]] = value


def coded_in(note: Json, *systems: str) -> list[str]:
    """The systems of the note's type that begin with one of these."""
    said = [string(coding, "system") or "" for coding in mappings(note, "type", "coding")]
    return [system for system in said if system.startswith(systems)]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
