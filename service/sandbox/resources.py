"""Read, create, update and delete of single resources."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable

from fastapi import APIRouter, Request, Response

from service.sandbox.answers import stored_answer, written_answer
from service.sandbox.binaries import binary_answer, binary_draft
from service.sandbox.context import Sandbox, SandboxIn
from service.sandbox.intake import draft_of, require_same_id, resource_in
from service.sandbox.negotiation import if_match, if_none_exist, require_json_answer, require_json_body
from service.sandbox.operation_outcome import Issue, Refused
from service.sandbox.ports import Draft, NotSelective, StaleVersion, Written
from service.sandbox.search_parameters import RESOURCE_TYPES, criteria_of

router = APIRouter()


@router.post("/{resource_type}")
async def create(resource_type: str, request: Request, sandbox: SandboxIn) -> Response:
    """With If-None-Exist: 201 when nothing matched, 200 and nothing written on one match, 412 on more."""
    require_known(resource_type)
    unless, _ = criteria_of(resource_type, if_none_exist(request), sandbox.base_url)
    draft = await _draft(request, sandbox, resource_type, None)
    written = await _settled(sandbox, draft, sandbox.store.create(draft, unless))
    return written_answer(request, written, sandbox.base_url)


@router.get("/{resource_type}/{resource_id}")
async def read(resource_type: str, resource_id: str, request: Request, sandbox: SandboxIn) -> Response:
    return await _answer(request, sandbox, resource_type, resource_id, None)


@router.get("/{resource_type}/{resource_id}/_history/{version}")
async def vread(resource_type: str, resource_id: str, version: str, request: Request, sandbox: SandboxIn) -> Response:
    number = int(version) if re.fullmatch("[1-9][0-9]{0,8}", version) else 0  # there is no version 0
    return await _answer(request, sandbox, resource_type, resource_id, number)


@router.put("/{resource_type}/{resource_id}")
async def update(resource_type: str, resource_id: str, request: Request, sandbox: SandboxIn) -> Response:
    """An id that is new here is created with it; a deleted resource comes back."""
    require_known(resource_type)
    _require_id(resource_id)
    expected = if_match(request)
    draft = await _draft(request, sandbox, resource_type, resource_id)
    written = await _settled(sandbox, draft, sandbox.store.update(draft, expected))
    return written_answer(request, written, sandbox.base_url)


@router.delete("/{resource_type}/{resource_id}")
async def delete(resource_type: str, resource_id: str, request: Request, sandbox: SandboxIn) -> Response:
    """204 whether or not there was something; the content of a deleted Binary goes at once, older versions too."""
    require_known(resource_type)
    _require_id(resource_id)
    try:
        unused = await sandbox.store.delete(resource_type, resource_id, if_match(request))
    except StaleVersion:
        raise _stale() from None
    for blob in unused:
        await sandbox.blobs.delete(blob)
    return Response(None, 204)


def require_known(resource_type: str) -> None:
    if resource_type not in RESOURCE_TYPES:
        raise Refused(404, Issue("not-supported", "this server keeps " + ", ".join(RESOURCE_TYPES)))


def _require_id(resource_id: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource_id):
        raise Refused(400, Issue("value", "the id in the URL is not a FHIR id"))


def _stale() -> Refused:
    return Refused(412, Issue("conflict", "If-Match does not name the current version"))


async def _draft(request: Request, sandbox: Sandbox, resource_type: str, resource_id: str | None) -> Draft:
    if resource_type == "Binary":
        return await binary_draft(request, sandbox, resource_id)
    require_json_body(request)
    body = await resource_in(request, resource_type, sandbox.limits.json)
    if resource_id is not None:
        require_same_id(body, resource_id)
    return draft_of(sandbox, body, resource_id or str(uuid.uuid4()))


async def _settled(sandbox: Sandbox, draft: Draft, writing: Awaitable[Written]) -> Written:
    """The outcome of a write; content that no resource came to hold is deleted.

    A cancelled write may have been committed, so its content stays: rather a blob too many than one too few.
    """
    try:
        written = await writing
    except Exception as error:
        await _discard(sandbox, draft)
        if isinstance(error, NotSelective):
            raise Refused(412, Issue("multiple-matches", "more than one resource matches If-None-Exist")) from None
        raise _stale() if isinstance(error, StaleVersion) else error from None
    if written.resource.blob != draft.blob:
        await _discard(sandbox, draft)
    return written


async def _discard(sandbox: Sandbox, draft: Draft) -> None:
    if draft.blob:
        await sandbox.blobs.delete(draft.blob)


async def _answer(
    request: Request, sandbox: Sandbox, resource_type: str, resource_id: str, version: int | None
) -> Response:
    require_known(resource_type)
    _require_id(resource_id)
    stored = await sandbox.store.read(resource_type, resource_id, version)
    if stored is None:
        raise Refused(404, Issue("not-found", "no such resource or version"))
    if stored.body is None:
        raise Refused(410, Issue("deleted", "the resource was deleted"))
    if stored.type == "Binary":
        return await binary_answer(request, sandbox, stored)
    require_json_answer(request)
    return stored_answer(stored)
