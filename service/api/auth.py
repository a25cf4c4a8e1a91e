"""Who calls: the token endpoint (client credentials) and the bearer check in front of every protected route."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, unquote_plus

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse

from service.api.tokens import LIFETIME, BadToken, Tokens
from service.settings import ApiClient

Scope = Literal["ambient", "events", "operations"]

DEFAULT_TENANT = "base"
_FORM_LIMIT = 16 * 1024
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Caller:
    """`client_id` is None where no clients are configured."""

    client_id: str | None
    tenant: str
    scopes: frozenset[str]


class TokenRefused(Exception):
    """Ends a token request with RFC 6749's error body."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description


class Access:
    """The configured clients and their tokens. Tenant and scopes are those configured now, not when a token was made."""

    def __init__(self, clients: Mapping[str, ApiClient], tokens: Tokens) -> None:
        self._clients = clients
        self._tokens = tokens

    def require(self, scope: Scope) -> Callable[[Request], Awaitable[Caller]]:
        """A dependency that yields the caller and puts its tenant into `request.state.tenant`.

        Without clients everybody may do everything. Else 401 without a valid token; 403 without the scope, with
        another tenant than the client's, and for the ambient API without `Tenant-Name`.
        """

        async def caller(request: Request) -> Caller:
            named = request.headers.get("tenant-name") or None
            if self._clients:
                caller = await self._authenticated(request)
                _check(caller, scope, named)
            else:
                caller = Caller(None, named or DEFAULT_TENANT, frozenset(("ambient", "events", "operations")))
            request.state.tenant = caller.tenant
            return caller

        return caller

    async def _authenticated(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise HTTPException(401)
        try:
            claims = await self._tokens.read(token.strip())
        except BadToken:
            raise HTTPException(401) from None
        client = self._clients.get(claims.client_id)
        if client is None or client.tenant != claims.tenant:
            raise HTTPException(401)
        return Caller(claims.client_id, client.tenant, frozenset(client.scopes))

    async def grant(self, tenant: str, form: Mapping[str, str]) -> dict[str, object]:
        """The body of a token response. Raises TokenRefused."""
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused(400, "unsupported_grant_type", "grant_type must be client_credentials")
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if not client_id or not secret:
            raise TokenRefused(400, "invalid_request", "client_id and client_secret are required")
        scopes = self._verified(tenant, client_id, secret)
        return {
            "access_token": await self._tokens.issue(client_id, tenant),
            "expires_in": LIFETIME,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": " ".join(["openid", *scopes]),
        }

    def _verified(self, tenant: str, client_id: str, secret: str) -> list[Scope]:
        """The client's scopes. Where no clients are configured, any client will do: its token opens nothing more."""
        if not self._clients:
            return ["ambient"]
        client = self._clients.get(client_id)
        expected = client.secret.get_secret_value() if client else ""
        matches = hmac.compare_digest(expected.encode(), secret.encode())
        if client is None or client.tenant != tenant:
            raise TokenRefused(401, "invalid_client", "unknown client")
        if not matches:
            raise TokenRefused(401, "unauthorized_client", "wrong client secret")
        return list(client.scopes)


def _check(caller: Caller, scope: Scope, named: str | None) -> None:
    if scope not in caller.scopes:
        raise HTTPException(403, "this client lacks the scope for this resource")
    if named is None and scope == "ambient":
        raise HTTPException(403, "the header Tenant-Name is required")
    if named is not None and named != caller.tenant:
        raise HTTPException(403, "the token belongs to another tenant")


def token_router(access: Access) -> APIRouter:
    """The token endpoint, also under `/v2` for clients that know a single base URL."""
    router = APIRouter(tags=["authentication"])

    @router.post("/v2/{tenant}/protocol/openid-connect/token", include_in_schema=False)
    @router.post("/realms/{tenant}/protocol/openid-connect/token")
    async def token(tenant: str, request: Request) -> JSONResponse:
        try:
            granted = await access.grant(tenant, await _form(request))
        except TokenRefused as refused:
            body = {"error": refused.error, "error_description": refused.description}
            return JSONResponse(body, status_code=refused.status, headers={"Cache-Control": "no-store"})
        return JSONResponse(granted, headers={"Cache-Control": "no-store"})

    return router


async def _form(request: Request) -> dict[str, str]:
    """The fields, and the client's credentials where they came by HTTP Basic (RFC 6749 §2.3.1)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise TokenRefused(400, "invalid_request", f"Content-Type must be {_FORM}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_LIMIT:
            raise TokenRefused(400, "invalid_request", "the form is too large")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=20)
    except ValueError:
        raise TokenRefused(400, "invalid_request", "the form cannot be read") from None
    if any(len(values) > 1 for values in fields.values()):
        raise TokenRefused(400, "invalid_request", "a field came twice")
    return {**_basic(request), **{name: values[0] for name, values in fields.items()}}


def _basic(request: Request) -> dict[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise TokenRefused(400, "invalid_request", "the Basic credentials cannot be read") from None
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}
