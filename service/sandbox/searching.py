"""Search by GET or by POST to `_search`: a searchset Bundle, its self link naming the parameters that were used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request, Response

from service.sandbox.answers import fhir_answer
from service.sandbox.context import Sandbox, SandboxIn
from service.sandbox.intake import limited
from service.sandbox.negotiation import content_type, is_lenient, query_pairs, require_json_answer
from service.sandbox.operation_outcome import Issue, Refused
from service.sandbox.ports import Page, Stored
from service.sandbox.resources import require_known
from service.sandbox.search_parameters import Pairs, criteria_of

router = APIRouter()

_PAGE, _LARGEST_PAGE = 50, 500
_LARGEST_FORM = 64 * 1024
_ABOUT_THE_RESULT = ("_count", "_after", "_format", "_pretty")


@router.get("/{resource_type}")
async def search(resource_type: str, request: Request, sandbox: SandboxIn) -> Response:
    return await _search(resource_type, query_pairs(request.url.query), request, sandbox)


@router.post("/{resource_type}/_search")
async def search_by_post(resource_type: str, request: Request, sandbox: SandboxIn) -> Response:
    if content_type(request) not in ("application/x-www-form-urlencoded", ""):
        raise Refused(415, Issue("not-supported", "send the parameters as application/x-www-form-urlencoded"))
    form = b"".join([chunk async for chunk in limited(request, _LARGEST_FORM)])
    pairs = query_pairs(request.url.query) + query_pairs(form.decode("ascii", "replace"))
    return await _search(resource_type, pairs, request, sandbox)


async def _search(resource_type: str, pairs: Pairs, request: Request, sandbox: Sandbox) -> Response:
    require_known(resource_type)
    require_json_answer(request)
    asked = [pair for pair in pairs if pair[0] not in _ABOUT_THE_RESULT]
    criteria, used = criteria_of(resource_type, asked, sandbox.base_url, lenient=is_lenient(request))
    count, after = _number(pairs, "_count", _PAGE), _number(pairs, "_after", 0)
    page = await sandbox.store.search(resource_type, criteria, after, min(count, _LARGEST_PAGE))
    used += [pair for pair in pairs if pair[0] == "_count"]
    return fhir_answer(_searchset(page, used, after, f"{sandbox.base_url}/{resource_type}", sandbox.base_url))


def _number(pairs: Pairs, name: str, default: int) -> int:
    value = dict(pairs).get(name)
    if value is None:
        return default
    if not re.fullmatch("[0-9]{1,9}", value):
        raise Refused(400, Issue("value", f"{name} must be a number"))
    return int(value)


def _searchset(page: Page, used: Pairs, after: int, url: str, base_url: str) -> dict[str, Any]:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": page.total}
    bundle["link"] = list(_links(page, used, after, url))
    if page.resources:
        bundle["entry"] = [_entry(stored, base_url) for stored in page.resources]
    return bundle


def _links(page: Page, used: Pairs, after: int, url: str) -> Iterator[dict[str, str]]:
    here = [*used, ("_after", str(after))] if after else used
    yield {"relation": "self", "url": f"{url}?{urlencode(here)}" if here else url}
    if page.after is not None:
        yield {"relation": "next", "url": f"{url}?{urlencode([*used, ('_after', str(page.after))])}"}


def _entry(stored: Stored, base_url: str) -> dict[str, Any]:
    return {
        "fullUrl": f"{base_url}/{stored.type}/{stored.id}",
        "resource": orjson.Fragment(stored.body or "{}"),
        "search": {"mode": "match"},
    }
