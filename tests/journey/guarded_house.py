"""The ambient API behind authentication, in process, with a clock that a test can move."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import Depends, FastAPI

from adapters.ambient.in_process import InProcess
from adapters.database.database import Database
from adapters.database.signing_keys import SqlSigningKeys
from service.ambient.app import ambient_router
from service.ambient.errors import install_error_handlers
from service.ambient.routing import EitherForm
from service.api.auth import Access
from service.api.caller import Caller
from service.api.credentials import WRONG_ONES, Credentials
from service.api.issuer import Issuer
from service.api.rate import Rate
from service.api.token_endpoint import Grants, token_router
from service.api.tokens import Tokens
from service.settings import read_settings
from tests.ambient_service import AmbientService, ambient_service

CLIENTS = {
    "recorder": "s3cret",
    "clinic": {"secret": "other", "tenant": "clinic"},
    "operator": {"secret": "ops", "scopes": ["operations"]},
}
TOKEN = "realms/{}/protocol/openid-connect/token"


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


class House:
    """The outer app as its callers see it."""

    def __init__(self, app: FastAPI, http: httpx.AsyncClient, clock: Clock, service: AmbientService) -> None:
        self.app = app
        self.http = http
        self.clock = clock
        self.service = service

    async def ask(self, tenant: str = "base", **form: str) -> httpx.Response:
        return await self.http.post(TOKEN.format(tenant), data={"grant_type": "client_credentials", **form})

    async def token(self, client: str = "recorder", secret: str = "s3cret", tenant: str = "base") -> str:
        answered = await self.ask(tenant, client_id=client, client_secret=secret)
        return str(answered.json()["access_token"])

    async def get(self, token: str | None, tenant: str | None = "base", path: str = "v2/interactions/") -> Any:
        bearer = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return await self.http.get(path, headers={**bearer, **({"Tenant-Name": tenant} if tenant else {})})


@asynccontextmanager
async def house(
    database: Database, folder: Path, clients: dict[str, Any], *, issuer: Issuer | None = None, rate: int = 1000
) -> AsyncIterator[House]:
    configured = read_settings(api={"clients": clients}).api.clients
    clock = Clock()
    tokens = Tokens(SqlSigningKeys(database), now=clock)
    credentials = Credentials(configured, Rate(WRONG_ONES, clock)) if clients or issuer else None
    access = Access(configured, tokens, issuer)
    app = FastAPI(redirect_slashes=False)
    install_error_handlers(app)
    app.add_middleware(EitherForm)
    app.include_router(token_router(Grants(tokens, credentials, Rate(rate, clock))))

    operator = Depends(access.require("operations"))

    @app.get("/visits")
    async def visits(caller: Caller = operator) -> dict[str, str | None]:
        return {"client": caller.client_id, "tenant": caller.tenant}

    async with ambient_service(database, folder / "blobs") as service:
        guard = [Depends(access.require("ambient"))]
        app.include_router(ambient_router(service.rooms), prefix="/v2", dependencies=guard)
        async with httpx.AsyncClient(transport=InProcess(app), base_url="http://house.test") as http:
            yield House(app, http, clock, service)


def assert_unauthorized(response: httpx.Response) -> None:
    assert response.status_code == 401
    assert response.content == b""
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
