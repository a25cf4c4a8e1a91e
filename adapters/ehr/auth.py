"""How the EHR is told who calls: nothing, a fixed bearer token, HTTP Basic, or OAuth 2 client credentials."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

import httpx

from service.errors import BadConfiguration
from service.settings import EhrAuth


def ehr_auth(settings: EhrAuth) -> httpx.Auth | None:
    """Raises BadConfiguration naming what the chosen method still needs."""
    if settings.method == "none":
        return None
    if settings.method == "bearer":
        return _Bearer(_needed(settings, "token"))
    if settings.method == "basic":
        return httpx.BasicAuth(_needed(settings, "username"), _needed(settings, "password"))
    return ClientCredentials(_needed(settings, "token_url"), _needed(settings, "client_id"), _needed(settings, "client_secret"), settings.scope)


def _needed(settings: EhrAuth, name: str) -> str:
    value = getattr(settings, name)
    if not value:
        raise BadConfiguration(f"AMBIENT_EHR__AUTH__METHOD={settings.method} needs AMBIENT_EHR__AUTH__{name.upper()}")
    return str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class ClientCredentials(httpx.Auth):
    """A token per client, fetched once at a time, renewed 30 s before it ends, dropped after a 401 and tried once more."""

    requires_response_body = True

    def __init__(self, token_url: str, client_id: str, client_secret: str, scope: str | None) -> None:
        self._token_url = token_url
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        if scope:
            self._form["scope"] = scope
        self._lock = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        for last in (False, True):
            async with self._lock:
                if time.monotonic() > self._until:
                    self._take((yield httpx.Request("POST", self._token_url, data=self._form)))
            request.headers["Authorization"] = f"Bearer {self._token}"
            response = yield request
            if response.status_code != 401 or last:
                return
            self._until = 0.0

    def _take(self, response: httpx.Response) -> None:
        try:
            answer = response.json() if response.is_success else {}
        except ValueError:
            answer = {}
        self._token = str(answer.get("access_token", ""))
        lifetime = answer.get("expires_in", 300)
        self._until = time.monotonic() + float(lifetime if isinstance(lifetime, int | float) else 300) - 30 if self._token else 0.0
