"""The outer HTTP surface, put together from routers. Everything but probes and tokens is behind authentication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service import __version__
from service.ambient.errors import install_error_handlers
from service.ambient.routing import EitherForm
from service.api.description import describe_authentication
from service.api.examples import describe_examples, operation_id
from service.api.loopback import LoopbackOnly

Require = Callable[[Any], Any]

_ABOUT = """\
FHIR events in, ambient documentation, DocumentReference out.

`/v2` is the ambient API: an interaction holds recordings, a recording becomes a transcript, a transcript becomes
documents. Paths may end with a slash or not. Every refusal has the body `ErrorResponse`, but 401, which has none; its
`requestid` equals the header `X-Request-Id`. Times are ISO 8601 in UTC, ids are UUIDs.
"""
_SERVERS = [{"url": "/", "description": "This server"}]
_TAGS = [
    {"name": "interactions", "description": "One for each visit, owned by a tenant."},
    {"name": "recordings", "description": "The audio of an interaction."},
    {"name": "transcripts", "description": "What was said in a recording: made in the background, waited for a while."},
    {"name": "facts", "description": "What a caller has established about an interaction."},
    {"name": "documents", "description": "Notes, written from transcripts, facts or text by a template."},
    {"name": "templates", "description": "What documents are made of."},
    {"name": "languages", "description": "What is understood, and what is written."},
    {"name": "authentication", "description": "Where access tokens come from."},
    {"name": "events", "description": "FHIR events over HTTP."},
    {"name": "operations", "description": "Probes, metrics, visits and dead letters."},
]


def create_app(
    *,
    open_to_all: Sequence[APIRouter],
    behind: Sequence[tuple[APIRouter, str, Require | None]],
    sandbox: ASGIApp | None,
    guarded: bool,
    public_url: str | None,
) -> FastAPI:
    """`behind` holds (router, prefix, the dependency that lets callers in; None where the router asks itself). Unless
    `guarded`, that lets in everybody: then this machine alone is served, and who reaches it as `public_url`."""
    app = FastAPI(
        title="ambient-fhir",
        version=__version__,
        description=_ABOUT,
        servers=_SERVERS,
        openapi_tags=_TAGS,
        generate_unique_id_function=operation_id,
        redirect_slashes=False,
        redoc_url=None,
    )
    if not guarded:
        app.add_middleware(LoopbackOnly, public_url=public_url)
    install_error_handlers(app)
    app.add_middleware(EitherForm)
    for router in open_to_all:
        app.include_router(router)
    for router, prefix, require in behind:
        app.include_router(router, prefix=prefix, dependencies=[Depends(require)] if require else [])
    describe_examples(app)
    describe_authentication(app)
    if sandbox is not None:
        app.mount("/sandbox/fhir/R4", sandbox)
    return app


class Guarded:
    """An ASGI app behind a dependency that lets callers in: for what is mounted and not routed."""

    def __init__(self, app: ASGIApp, require: Require) -> None:
        self._app = app
        self._require = require

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._require(Request(scope, receive))
        await self._app(scope, receive, send)


def create_probes_app(probes: APIRouter) -> FastAPI:
    """Probes and metrics alone, for their own port and for workers."""
    app = FastAPI(title="ambient-fhir probes", openapi_url=None, redirect_slashes=False)
    app.include_router(probes)
    return app
