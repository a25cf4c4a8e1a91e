"""Tolerant reading of raw FHIR JSON: the wanted path with the wanted type, or None.

What arrives from a queue is never trusted to be valid; whole-resource validation refuses what real servers send
(vendor fields in `meta`, for instance), so only the dozen paths that matter are read, each checked on its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # FHIR R4 datatype `id`
_LONGEST = 4096


def element(resource: object, *path: str | int) -> Any:
    """What stands at the path, of any type, or None."""
    here = resource
    for part in path:
        if isinstance(here, dict) and isinstance(part, str):
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and -len(here) <= part < len(here):
            here = here[part]
        else:
            return None
    return here


def string(resource: object, *path: str | int) -> str | None:
    """A non-empty string of bounded length at the path."""
    found = element(resource, *path)
    return found if isinstance(found, str) and 0 < len(found) <= _LONGEST else None


def mapping(resource: object, *path: str | int) -> Json | None:
    found = element(resource, *path)
    return found if isinstance(found, dict) else None


def mappings(resource: object, *path: str | int) -> Iterator[Json]:
    """The objects of the list at the path; nothing where there is no list."""
    found = element(resource, *path)
    if isinstance(found, list):
        yield from (item for item in found if isinstance(item, dict))


def is_id(value: object) -> bool:
    """A FHIR id, but for `.` and `..`, which the grammar allows and every URL would read as a folder."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None and value not in (".", "..")
