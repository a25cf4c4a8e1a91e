"""Bytes to a JSON object that obeys the rules every FHIR resource shares (R4, JSON format), or Refused with 400."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from service.sandbox.operation_outcome import Issue, Refused

_DEEPEST = 64  # levels; real resources stay below 20, and the writer of JSON gives up at 254
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MOST_ISSUES = 20


def json_object(raw: bytes) -> dict[str, Any]:
    """Also refuses what a JSON parser may let through: NaN, 1e999, lone surrogates, a thousand brackets."""
    try:
        body = orjson.loads(raw)
    except ValueError:
        raise Refused(400, Issue("structure", "the body is not JSON in UTF-8")) from None
    if not isinstance(body, dict):
        raise Refused(400, Issue("structure", "the body is not a JSON object"))
    _refuse(_faults(body))
    return body


def _refuse(faults: Iterator[Issue]) -> None:
    issues = [issue for _, issue in zip(range(_MOST_ISSUES), faults, strict=False)]
    if issues:
        raise Refused(400, *issues)


def _faults(body: dict[str, Any]) -> Iterator[Issue]:
    left: list[tuple[str, Any, int, bool]] = [(_root(body), body, 0, False)]
    while left:
        at, value, depth, in_list = left.pop()
        fault = _fault(value, depth, in_list)
        if fault:
            yield Issue("structure", fault, at)
        elif isinstance(value, dict):
            left.extend((f"{at}.{name}", item, depth + 1, False) for name, item in value.items())
        elif isinstance(value, list):
            left.extend((f"{at}[{n}]", item, depth + 1, True) for n, item in enumerate(value))


def _fault(value: object, depth: int, in_list: bool) -> str | None:
    if depth > _DEEPEST:
        return f"elements nested deeper than {_DEEPEST} levels"
    if value in ({}, [], ""):
        return "an element is never empty: leave it out"
    if value is None and not in_list:
        return "null stands only in arrays of primitives: leave the element out"
    if isinstance(value, str) and _FORBIDDEN.search(value):
        return "a control character in a string"
    return None


def _root(body: dict[str, Any]) -> str:
    name = body.get("resourceType")
    return name if isinstance(name, str) and re.fullmatch("[A-Za-z]{1,64}", name) else "Resource"
