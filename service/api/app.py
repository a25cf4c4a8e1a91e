"""The outer HTTP surface, put together from routers. Everything but probes and tokens is behind authentication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service import __version__
from service.ambient.errors import install_error_handlers

Require = Callable[[Any], Any]

_ABOUT = "FHIR events in, ambient documentation, DocumentReference out. `/v2` is the ambient API."


def create_app(
    *,
    open_to_all: Sequence[APIRouter],
    behind: Sequence[tuple[APIRouter, str, Require | None]],
    sandbox: ASGIApp | None,
) -> FastAPI:
    """`behind` holds (router, prefix, the dependency that lets callers in; None where the router asks itself)."""
    app = FastAPI(title="ambient-fhir", version=__version__, description=_ABOUT, redirect_slashes=False, redoc_url=None)
    install_error_handlers(app)
    for router in open_to_all:
        app.include_router(router)
    for router, prefix, require in behind:
        app.include_router(router, prefix=prefix, dependencies=[Depends(require)] if require else [])
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
