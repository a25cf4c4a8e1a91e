"""What random values cannot hit: names that must be new, and ids and languages that must exist. Bodies that are meant to
be wrong stay as they are."""

from __future__ import annotations

import os
from itertools import count
from typing import Any

import schemathesis

NUMBERS = count()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    _sendable(case)
    if not (case.meta and case.meta.generation.mode.is_positive and isinstance(case.body, dict)):
        return
    encounter = case.body.get("encounter")
    if (
        case.operation.path.startswith("/v2/interactions/")
        and isinstance(encounter, dict)
        and "identifier" in encounter
    ):
        encounter["identifier"] = f"{next(NUMBERS)} {encounter['identifier'] or ''}"[:255]
    if "recordingId" in case.body:
        case.body = {**case.body, "recordingId": os.environ["RECORDING"], "primaryLanguage": "en"}
    if "outputLanguage" in case.body:
        case.body = {**case.body, "outputLanguage": "en"}
    if "templateKey" in case.body:
        case.body = {**case.body, "templateKey": "corti-soap"}


def _sendable(case: Any) -> None:
    """What cannot stand in a header (RFC 9110 §5.5) never leaves the tool, or is refused before any route is found."""
    for name, value in list((case.headers or {}).items()):
        if isinstance(value, str):
            case.headers[name] = "".join(c if c.isascii() and c.isprintable() else "?" for c in value)
