"""The ambient API put together: one router for the public service, and an app of its own for use in process."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI, Request

from service.ambient import (
    documents,
    fact_extraction,
    facts,
    interactions,
    languages,
    recordings,
    templates,
    transcripts,
)
from service.ambient.errors import install_error_handlers
from service.ambient.rooms import AmbientRooms
from service.ambient.routing import EitherForm


def ambient_router(ambient: AmbientRooms) -> APIRouter:
    """Every route, without a prefix and without authentication: include it under `/v2` behind `require("ambient")`."""

    async def hand_over(request: Request) -> None:
        request.state.ambient = ambient

    router = APIRouter(dependencies=[Depends(hand_over)])
    for resource in (interactions, recordings, transcripts, facts, fact_extraction, documents, templates, languages):
        router.include_router(resource.router)
    return router


def create_ambient_app(ambient: AmbientRooms) -> FastAPI:
    """The same router under `/v2` inside the trust boundary: no authentication, no lifespan, no documentation."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    install_error_handlers(app)
    app.add_middleware(EitherForm)
    app.include_router(ambient_router(ambient), prefix="/v2")
    return app
