"""What the headers of a request ask for: media types, preferences, versions, conditions."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import parse_qsl

from fastapi import Request

from service.sandbox.operation_outcome import Issue, Refused

FHIR_JSON = "application/fhir+json"
_JSON_TYPES = (FHIR_JSON, "application/json", "text/json")
_RETURNS: tuple[Literal["minimal", "OperationOutcome"], ...] = ("minimal", "OperationOutcome")


def require_json_answer(request: Request) -> None:
    """Raises Refused with 406 when the client takes no JSON (`_format` beats Accept)."""
    asked = request.query_params.get("_format")
    wanted = [asked.replace(" ", "+")] if asked else _accepted(request)
    if not any(one in ("json", "*/*", "application/*", *_JSON_TYPES) for one in wanted):
        raise Refused(406, Issue("not-supported", "this server answers in application/fhir+json only"))


def wants_resource(request: Request) -> bool:
    """For a Binary: whether its JSON form is asked for before its content. Refused with 406 for FHIR XML."""
    first = _accepted(request)[0]
    if first == "application/fhir+xml":
        raise Refused(406, Issue("not-supported", "this server answers in application/fhir+json only"))
    return first == FHIR_JSON


def require_json_body(request: Request) -> None:
    if content_type(request) not in _JSON_TYPES:
        raise Refused(415, Issue("not-supported", "send the resource as application/fhir+json"))


def content_type(request: Request) -> str:
    """Without parameters, in lower case; empty when the client did not say."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def preferred_return(request: Request) -> Literal["minimal", "OperationOutcome", "representation"]:
    return next((one for one in _RETURNS if f"return={one}" in _preferences(request)), "representation")


def is_lenient(request: Request) -> bool:
    return "handling=lenient" in _preferences(request)


def if_match(request: Request) -> int | None:
    """The version of an `If-Match: W/"3"`; None without the header."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    match = re.fullmatch(r'(?:W/)?"([0-9]{1,9})"', header.strip())
    if not match:
        raise Refused(400, Issue("value", 'If-Match must name one version, such as W/"3"'))
    return int(match[1])


def if_none_exist(request: Request) -> list[tuple[str, str]]:
    """The criteria of a conditional create as pairs; empty without the header."""
    header = request.headers.get("if-none-exist")
    if header is None:
        return []
    pairs = query_pairs(header)
    if not pairs:
        raise Refused(400, Issue("value", "If-None-Exist must hold search parameters, such as identifier=system|value"))
    return pairs


def query_pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise Refused(400, Issue("value", "more than 100 parameters")) from None


def _accepted(request: Request) -> list[str]:
    """The media types of Accept without parameters, the most wanted first."""
    ranges = [one.partition(";") for one in request.headers.get("accept", "*/*").split(",")]
    wanted = [(_quality(parameters), name.strip().lower()) for name, _, parameters in ranges]
    return [name for quality, name in sorted(wanted, key=lambda one: -one[0]) if quality > 0] or ["nothing"]


def _quality(parameters: str) -> float:
    match = re.search(r"(?:^|;)\s*q=([01](?:\.[0-9]{1,3})?)\s*(?:;|$)", parameters)
    return float(match[1]) if match else 1.0


def _preferences(request: Request) -> set[str]:
    return {one.strip() for header in request.headers.getlist("prefer") for one in re.split("[,;]", header)}
