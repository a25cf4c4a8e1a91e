"""What the EHR's answers say: which resource was written, in which version, or that something was wrong.

Servers differ in all of it: bodies may be empty, an OperationOutcome or a gateway's HTML; `Location` is absolute or
relative, with or without history; `ETag` may be missing (FHIR R4 §3.1.0.5, §3.1.0.8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from adapters.ehr.auth import unexplained
from service.errors import NeedsPerson, Retryable
from service.fhir.elements import element, is_id, mapping, mappings, string
from service.fhir.operation_outcome import outcome_words, tells_of_errors
from service.workflow.ports import AnswerLost, Filed

_LOCATION = re.compile(
    r"(?:^|/)(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?/?$"
)
_ETAG = re.compile(r'(?:W/)?"(?P<version>[^"]{1,64})"')


def body_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; empty for a refusal without one. Raises Retryable for a success without one."""
    body = json_of(response)
    if body is not None:
        return body
    if response.is_success:
        raise Retryable("ehr_answer_not_fhir", f"{response.status_code} without a JSON object")
    return {}


def json_of(response: httpx.Response) -> dict[str, Any] | None:
    """The body as a JSON object; None for anything else, which gateways answer with any status."""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def refused(response: httpx.Response, what: str) -> NeedsPerson:
    words = outcome_words(body_of(response)) or unexplained(response.status_code)
    return NeedsPerson("ehr_refused", f"{response.status_code} for {what}" + (f": {words}" if words else ""))


def filed_as(response: httpx.Response, kind: str, reference: str | None = None) -> Filed:
    """From the body, the Location (absolute, relative, with or without history) or the ETag, whichever the server sent.

    `reference` is what was written, where that is known beforehand. Raises AnswerLost where nothing says it, and
    NeedsPerson `ehr_answered_errors` for a success that tells of errors alone.
    """
    body = json_of(response) or {}
    written = body if element(body, "resourceType") == kind and is_id(body.get("id")) else {}
    location, version = _located(response, kind)
    reference = reference or (f"{kind}/{written['id']}" if written else location)
    if reference is None and tells_of_errors(body):
        raise NeedsPerson("ehr_answered_errors", f"{response.status_code} for {kind}: {outcome_words(body)}")
    if reference is None:
        raise AnswerLost("the answer does not say which resource was written")
    etag = _ETAG.fullmatch(response.headers.get("ETag", "").strip())
    version = string(written, "meta", "versionId") or (etag["version"] if etag else None) or version
    return Filed(reference, version if is_id(version) else None, created=response.status_code == 201)


def filed_each(answer: Mapping[str, Any], bundle: Mapping[str, Any]) -> list[Filed]:
    """What a transaction-response says of each entry (FHIR R4 §3.1.0.11.2). Raises AnswerLost where it does not say."""
    responses = [mapping(entry, "response") or {} for entry in mappings(answer, "entry")]
    kinds = [str(element(entry, "resource", "resourceType")) for entry in mappings(bundle, "entry")]
    if len(responses) != len(kinds):
        raise AnswerLost("the answer does not say which resources were written")
    return [_filed_entry(response, kind) for response, kind in zip(responses, kinds, strict=True)]


def _filed_entry(response: Mapping[str, Any], kind: str) -> Filed:
    match = _LOCATION.search(string(response, "location") or "")
    if match is None or match["type"] != kind or not is_id(match["id"]):
        raise AnswerLost("the answer does not say which resources were written")
    etag = _ETAG.fullmatch((string(response, "etag") or "").strip())
    version = (etag["version"] if etag else None) or match["version"]
    created = (string(response, "status") or "").startswith("201")
    return Filed(f"{kind}/{match['id']}", version if is_id(version) else None, created)


def _located(response: httpx.Response, kind: str) -> tuple[str | None, str | None]:
    """Reference and version that Location names, if it is of this kind."""
    match = _LOCATION.search(response.headers.get("Location", "").strip())
    if match is None or match["type"] != kind or not is_id(match["id"]):
        return None, None
    return f"{kind}/{match['id']}", match["version"]
