"""The sandbox of another house as a SMART EHR on a real socket: whoever shows no good token gets nothing but 401."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.serving import listening
from service.settings import SANDBOX_PATH
from tests.journey.hospital import Hospital, open_hospital
from tests.smart_authorization_server import SmartAuthorizationServer

_SMART = "/.well-known/smart-configuration"


@dataclass
class GuardedEhr:
    """`server` decides over each request. `before` is called with its method and path, and may answer in its place."""

    server: SmartAuthorizationServer
    url: str = ""
    before: Callable[[str, str], Response | None] = lambda method, path: None
    heard: list[tuple[str, str, int]] = field(default_factory=list)
    sandbox: ASGIApp | None = None

    @property
    def base_url(self) -> str:
        return self.url + SANDBOX_PATH

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/token":
            await self.server.app(scope, receive, send)
        elif path == SANDBOX_PATH + _SMART:
            await (await self.server.discover())(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        shown = dict(scope["headers"]).get(b"authorization", b"").decode()
        early = self.before(scope["method"], scope["path"])
        if early is None and not self.server.takes(shown):
            early = JSONResponse({"resourceType": "OperationOutcome", "issue": []}, 401)

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.heard.append((scope["method"], scope["path"], message["status"]))
            await send(message)

        assert self.sandbox is not None
        await (early or self.sandbox)(scope, receive, counted)

    def statuses(self) -> set[int]:
        return {status for _, _, status in self.heard}


@asynccontextmanager
async def guarded_ehr(folder: Path, clock: Callable[[], float] = time.time) -> AsyncIterator[GuardedEhr]:
    """Where its client publishes keys is told later, as at a registration: `ehr.server.jwks_url`."""
    async with httpx.AsyncClient() as fetching:
        ehr = GuardedEhr(SmartAuthorizationServer(fetching, clock=clock))
        async with listening(ehr, "127.0.0.1", 0) as port:
            ehr.url = ehr.server.issuer = f"http://127.0.0.1:{port}"
            async with open_hospital(folder, http={"public_url": ehr.url}, engine={"recognisers": 0}) as other:
                ehr.sandbox = other.house.app
                yield ehr


@asynccontextmanager
async def connected(folder: Path, ehr: GuardedEhr, key_file: Path, **parts: Any) -> AsyncIterator[Hospital]:
    """A house that files in this EHR, and whose keys the EHR can fetch."""
    auth = {"method": "smart_backend", "client_id": "ambient", "key_file": str(key_file)}
    async with (
        open_hospital(folder, ehr={"base_url": ehr.base_url, "auth": auth}, **parts) as hospital,
        listening(hospital.house.app, "127.0.0.1", 0) as port,
    ):
        ehr.server.jwks_url = f"http://127.0.0.1:{port}/.well-known/jwks.json"
        yield hospital
