"""The ambient API put together: one router for the public service, and an app of its own for use in process."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request

from service.ambient import documents, interactions, recordings, templates, transcripts
from service.ambient.errors import install_error_handlers
from service.ambient.rooms import AmbientRooms
from service.ambient.schemas import ErrorResponse

_REFUSALS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorResponse}, "5XX": {"model": ErrorResponse}}


def ambient_router(ambient: AmbientRooms) -> APIRouter:
    """Every route, without a prefix and without authentication: include it under `/v2` behind `require("ambient")`."""

    async def hand_over(request: Request) -> None:
        request.state.ambient = ambient

    router = APIRouter(dependencies=[Depends(hand_over)], responses=_REFUSALS)
    for resource in (interactions, recordings, transcripts, documents, templates):
        router.include_router(resource.router)
    return router


def create_ambient_app(ambient: AmbientRooms) -> FastAPI:
    """The same router under `/v2` inside the trust boundary: no authentication, no lifespan, no documentation."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    install_error_handlers(app)
    app.include_router(ambient_router(ambient), prefix="/v2")
    return app
