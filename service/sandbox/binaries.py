"""Binary: content of any type, raw in and out, or as FHIR JSON with base64. The bytes live in the blob store."""

from __future__ import annotations

import asyncio
import base64
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import StreamingResponse

from service.sandbox.answers import version_headers
from service.sandbox.context import Sandbox
from service.sandbox.intake import draft_of, limited, require_same_id, resource_in
from service.sandbox.negotiation import FHIR_JSON, content_type, wants_resource
from service.sandbox.operation_outcome import Issue, Refused
from service.sandbox.ports import Draft, Stored
from service.sandbox.validation import strict_base64

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *;[\x20-\x7e]*)?")
# Whatever was uploaded is served from the origin of the service: a browser must not run it.
_INERT = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}


async def binary_draft(request: Request, sandbox: Sandbox, resource_id: str | None) -> Draft:
    """Stores the content, then gives the draft of its resource. `resource_id` None: a new one."""
    if content_type(request) == FHIR_JSON:
        body, chunks = await _from_json(request, sandbox, resource_id)
    else:
        body, chunks = _from_raw(request), limited(request, sandbox.limits.binary)
    blob = f"sandbox/binary/{uuid.uuid4()}"
    written = await sandbox.blobs.write(blob, chunks, sandbox.limits.binary)
    return draft_of(sandbox, body, resource_id or str(uuid.uuid4()), blob, written.size)


async def binary_answer(request: Request, sandbox: Sandbox, stored: Stored) -> StreamingResponse:
    """The content as it came in, or the resource with base64 when FHIR JSON is asked for first."""
    as_resource = wants_resource(request)
    body = orjson.loads(stored.body or "{}")
    content = await _opened(sandbox, stored)
    headers = version_headers(stored) | _INERT
    if as_resource:
        return StreamingResponse(_as_json(body, content), headers=headers, media_type=FHIR_JSON)
    headers |= {"Content-Type": body["contentType"], "Content-Length": str(stored.size)}
    return StreamingResponse(content, headers=headers)


def _from_raw(request: Request) -> dict[str, Any]:
    told = request.headers.get("content-type", "application/octet-stream")
    if not _MEDIA_TYPE.fullmatch(told):
        raise Refused(415, Issue("not-supported", "Content-Type is not a media type"))
    return {"resourceType": "Binary", "contentType": told}


async def _from_json(
    request: Request, sandbox: Sandbox, resource_id: str | None
) -> tuple[dict[str, Any], AsyncIterator[bytes]]:
    body = await resource_in(request, "Binary", sandbox.limits.json)
    if resource_id is not None:
        require_same_id(body, resource_id)
    if not _MEDIA_TYPE.fullmatch(body["contentType"]):
        raise Refused(422, Issue("value", "not a media type", "Binary.contentType"))
    content = await asyncio.to_thread(strict_base64, body.pop("data", ""))
    if content is None:
        raise Refused(422, Issue("value", "not base64 (RFC 4648, padded, without line breaks)", "Binary.data"))
    if len(content) > sandbox.limits.binary:
        raise Refused(
            413, Issue("too-long", f"the content is larger than {sandbox.limits.binary} bytes", "Binary.data")
        )
    return body, _whole(content)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _opened(sandbox: Sandbox, stored: Stored) -> AsyncIterator[bytes]:
    """Reads the first chunk before anything is answered, so that content that is gone can still be a 410."""
    chunks = aiter(sandbox.blobs.read(stored.blob or ""))
    try:
        first = await anext(chunks, b"")
    except FileNotFoundError:
        raise Refused(410, Issue("deleted", "the content is no longer held")) from None
    return _after(first, chunks)


async def _after(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in chunks:
        yield chunk


async def _as_json(body: dict[str, Any], content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield orjson.dumps(body)[:-1] + b',"data":"'
    held = b""
    async for chunk in content:
        held += chunk
        whole = len(held) - len(held) % 3  # base64 is cut where it needs no padding
        yield base64.b64encode(held[:whole])
        held = held[whole:]
    yield base64.b64encode(held) + b'"}'
