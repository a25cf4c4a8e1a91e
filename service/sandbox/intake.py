"""A request's body into a Draft: read within the limits, checked, and indexed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import Request

from service.sandbox.answers import stamped
from service.sandbox.context import Sandbox
from service.sandbox.json_body import json_object
from service.sandbox.operation_outcome import Issue, Refused
from service.sandbox.ports import Draft
from service.sandbox.search_parameters import tokens_of
from service.sandbox.validation import is_loaded, validate

_SMALL = 64 * 1024  # bytes; such a body is checked in a millisecond or two, a larger one off the event loop


async def resource_in(request: Request, resource_type: str, limit: int) -> dict[str, Any]:
    """The valid resource that the client sent. Raises Refused."""
    raw = b"".join([chunk async for chunk in limited(request, limit)])
    if is_loaded(resource_type) and len(raw) <= _SMALL:
        return _checked(raw, resource_type)
    return await asyncio.to_thread(_checked, raw, resource_type)


async def limited(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body in chunks; raises Refused with 413 as soon as it is known to be longer than `limit` bytes."""
    too_large = Refused(413, Issue("too-long", f"the body is larger than {limit} bytes"))
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:19]) > limit:
        raise too_large
    taken = 0
    async for chunk in request.stream():
        taken += len(chunk)
        if taken > limit:
            raise too_large
        yield chunk


def draft_of(
    sandbox: Sandbox, body: dict[str, Any], resource_id: str, blob: str | None = None, size: int | None = None
) -> Draft:
    named = {**body, "id": resource_id}
    tokens = tokens_of(named, sandbox.base_url)
    return Draft(body["resourceType"], resource_id, tokens, partial(stamped, body, resource_id), blob, size)


def require_same_id(body: dict[str, Any], resource_id: str) -> None:
    """An update must say the id of its URL inside, too."""
    if body.get("id") != resource_id:
        at = f"{body['resourceType']}.id"
        raise Refused(400, Issue("invalid", "the id inside is missing or is not the id of this URL", at))


def _checked(raw: bytes, resource_type: str) -> dict[str, Any]:
    body = json_object(raw)
    validate(resource_type, body)
    return body
