"""The steps of a visit, in the order in which it takes them.

A step's name is its kind, a colon, and what it is about. Tests kill a process before and after each of them.
"""

from __future__ import annotations

STEPS = (
    "interaction",
    "recording",
    "transcript",
    "transcribed",
    "document",
    "content",
    "filed",
    "device",
    "provenance",
    "retired",
)


def kind_of(step: str) -> str:
    """Raises ValueError for what is not on the list."""
    kind = step.split(":", 1)[0]
    if kind not in STEPS:
        raise ValueError(f"no such step: {kind}")
    return kind
