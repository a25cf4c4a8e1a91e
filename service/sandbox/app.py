"""The sandbox EHR: a small FHIR R4 server for demonstrations and tests, honest in what it takes and refuses.

Its routes are relative to where it is mounted; it opens and closes nothing itself.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from service.sandbox import resources, searching
from service.sandbox.answers import fhir_answer, refused_answer
from service.sandbox.capability_statement import capability_statement
from service.sandbox.context import Limits, Sandbox, SandboxIn
from service.sandbox.negotiation import require_json_answer
from service.sandbox.operation_outcome import Issue, Refused
from service.sandbox.ports import Blobs, SandboxStore


def create_sandbox_app(store: SandboxStore, blobs: Blobs, base_url: str, limits: Limits | None = None) -> FastAPI:
    """`base_url` is the absolute URL that clients see; it is written into Location, fullUrl and links."""
    app = FastAPI(title="Sandbox EHR", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.sandbox = Sandbox(store, blobs, base_url.rstrip("/"), limits or Limits())
    app.add_api_route("/metadata", _metadata, methods=["GET"])
    app.include_router(searching.router)
    app.include_router(resources.router)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _not_routed)
    app.add_exception_handler(Exception, _broken)
    return app


async def _metadata(request: Request, sandbox: SandboxIn) -> Response:
    require_json_answer(request)
    return fhir_answer(capability_statement(sandbox.base_url))


async def _refused(_: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)  # noqa: S101 - what it is registered for
    return refused_answer(refused)


async def _not_routed(_: Request, error: Exception) -> Response:
    """The router's own 404 and 405, which keeps its Allow header."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    if error.status_code == 405:
        return refused_answer(Refused(405, Issue("not-supported", "no such interaction here"), headers=error.headers))
    return refused_answer(Refused(error.status_code, Issue("not-found", "nothing is served at this URL")))


async def _broken(_: Request, __: Exception) -> Response:
    return refused_answer(Refused(500, Issue("exception", "the sandbox failed; its log says why")))
