"""How the EHR is told who calls: nothing, a fixed bearer token, HTTP Basic, or OAuth 2 client credentials."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

import httpx

from service.ehr_settings import EhrAuth
from service.errors import BadConfiguration


class ClientCredentials(Protocol):
    def __call__(self, token_url: str, client_id: str, client_secret: str, *, scope: str | None) -> httpx.Auth: ...


def ehr_auth(settings: EhrAuth, client_credentials: ClientCredentials) -> httpx.Auth | None:
    """Raises BadConfiguration naming what the chosen method still needs."""
    if settings.method == "none":
        return None
    if settings.method == "bearer":
        return _Bearer(_needed(settings, "token"))
    if settings.method == "basic":
        return httpx.BasicAuth(_needed(settings, "username"), _needed(settings, "password"))
    token_url, client_id = _needed(settings, "token_url"), _needed(settings, "client_id")
    return client_credentials(token_url, client_id, _needed(settings, "client_secret"), scope=settings.scope)


def _needed(settings: EhrAuth, name: str) -> str:
    value = getattr(settings, name)
    text = str(value.get_secret_value() if hasattr(value, "get_secret_value") else value or "")
    if not text:
        raise BadConfiguration(f"AMBIENT_EHR__AUTH__METHOD={settings.method} needs AMBIENT_EHR__AUTH__{name.upper()}")
    return text


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request
