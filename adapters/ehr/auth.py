"""How the EHR is told who calls: nothing, a fixed bearer token, HTTP Basic, or OAuth 2 with a secret or a signed assertion."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import httpx

from service.ehr_settings import EhrAuth
from service.errors import BadConfiguration


class ClientCredentials(Protocol):
    def __call__(
        self, token_url: str, client_id: str, client_secret: str, *, scope: str | None, proof: str
    ) -> httpx.Auth: ...


def ehr_auth(
    settings: EhrAuth, client_credentials: ClientCredentials, smart_backend: Callable[[str], httpx.Auth]
) -> httpx.Auth | None:
    """`smart_backend` is called with the client's id. Raises BadConfiguration naming what the chosen method still needs."""
    match settings.method:
        case "none":
            return None
        case "bearer":
            return _Bearer(_needed(settings, "token"))
        case "basic":
            return httpx.BasicAuth(_needed(settings, "username"), _needed(settings, "password"))
        case "smart_backend":
            _needed(settings, "key_file")
            return smart_backend(_needed(settings, "client_id"))
    token_url, client_id, proof = (
        _needed(settings, "token_url"),
        _needed(settings, "client_id"),
        settings.client_authentication,
    )
    secret = "" if proof == "tls_client_auth" else _needed(settings, "client_secret")
    return client_credentials(token_url, client_id, secret, scope=settings.scope, proof=proof)


def _needed(settings: EhrAuth, name: str) -> str:
    value = getattr(settings, name)
    text = str(value.get_secret_value() if hasattr(value, "get_secret_value") else value or "")
    if not text:
        raise BadConfiguration(f"AMBIENT_EHR__AUTH__METHOD={settings.method} needs AMBIENT_EHR__AUTH__{name.upper()}")
    return text


def unexplained(status: int) -> str:
    """What to look at when the EHR refuses without a word, as Epic does for an API that the app does not list."""
    if status == 401:
        return "the EHR does not take our credentials"
    if status == 403:
        return "no reason given: allow the client this API and its scope in the EHR, and its user this record"
    return ""


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request
