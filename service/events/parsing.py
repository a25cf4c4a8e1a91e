"""From bytes to JSON that the database and FHIR can hold; whatever else comes is Rejected."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

from service.errors import Rejected
from service.fhir.elements import Json

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_DEEPEST = 64


def parse_object(body: bytes) -> Json:
    """Raises Rejected (`not_json`, `not_fhir`)."""
    parsed = parse_json(body)
    if not isinstance(parsed, dict):
        raise Rejected("not_fhir", f"a JSON {type(parsed).__name__} where an object is expected")
    return parsed


def parse_json(body: bytes) -> Any:
    """An object or a list, UTF-8, with or without a byte order mark. Raises Rejected (`not_json`, `not_fhir`)."""
    try:
        parsed = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Rejected("not_json", f"at byte {error.pos}") from None
    if _NUL.search(body):
        raise Rejected("not_fhir", "a string holds NUL, which FHIR forbids")
    if _deeper_than(_DEEPEST, parsed):
        raise Rejected("not_fhir", f"nested deeper than {_DEEPEST} levels")
    return parsed


def _deeper_than(most: int, parsed: object) -> bool:
    level = [parsed]
    for _ in range(most):
        level = [child for node in level for child in _children(node)]
    return bool(level)


def _children(node: object) -> Iterable[object]:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
