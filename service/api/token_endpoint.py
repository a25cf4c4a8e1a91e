"""The token endpoint: client credentials (RFC 6749 §4.4) for a short-lived token of our own."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qs, unquote_plus

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from service.api.caller import Scope
from service.api.credentials import Credentials, TokenRefused, slow_down
from service.api.rate import Rate, network_of
from service.api.token_wire import ANSWERS, FORM, TOKEN_REQUEST
from service.api.tokens import LIFETIME, Tokens

_FORM_LIMIT = 16 * 1024
_UNCACHED = {"Cache-Control": "no-store"}


class Grants:
    """`rate` counts requests by address. Without `credentials` any client will do: its token opens nothing more."""

    def __init__(self, tokens: Tokens, credentials: Credentials | None, rate: Rate) -> None:
        self._tokens = tokens
        self._credentials = credentials
        self._rate = rate

    def let_in(self, address: str) -> None:
        """Raises TokenRefused when the address has asked too often."""
        if self._credentials is None:
            return
        if wait := self._rate.wait(address):
            raise slow_down(wait)
        self._rate.count(address)

    async def grant(self, address: str, tenant: str, form: Mapping[str, str]) -> dict[str, object]:
        """The body of a token response. Raises TokenRefused."""
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused(400, "unsupported_grant_type", "grant_type must be client_credentials")
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if not client_id or not secret:
            raise TokenRefused(400, "invalid_request", "client_id and client_secret are required")
        scopes: list[Scope] = ["ambient"]
        if self._credentials:
            scopes = await self._credentials.verified(address, tenant, client_id, secret)
        return {
            "access_token": await self._tokens.issue(client_id, tenant),
            "expires_in": LIFETIME,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": " ".join(["openid", *scopes]),
        }


def token_router(grants: Grants) -> APIRouter:
    """The token endpoint, also under `/v2` for clients that know a single base URL."""
    router = APIRouter(tags=["authentication"])

    @router.post("/v2/{tenant}/protocol/openid-connect/token", include_in_schema=False)
    @router.post(
        "/realms/{tenant}/protocol/openid-connect/token",
        summary="Get an access token",
        description=f"Client credentials for a token of {LIFETIME} s. The credentials may come by HTTP Basic too.",
        responses=ANSWERS,
        openapi_extra=TOKEN_REQUEST,
    )
    async def token(
        tenant: Annotated[str, Path(description="the client's tenant", examples=["base"])], request: Request
    ) -> JSONResponse:
        address = network_of(request.client.host if request.client else "")
        try:
            grants.let_in(address)
            granted = await grants.grant(address, tenant, await _form(request))
        except TokenRefused as refused:
            return _refusal(request, refused)
        return JSONResponse(granted, headers=_UNCACHED)

    return router


def _refusal(request: Request, refused: TokenRefused) -> JSONResponse:
    request.state.refusal = refused.error
    body = {"error": refused.error, "error_description": refused.description}
    headers = {**_UNCACHED, **({"Retry-After": str(refused.wait)} if refused.wait else {})}
    return JSONResponse(body, status_code=refused.status, headers=headers)


async def _form(request: Request) -> dict[str, str]:
    """The fields, and the client's credentials where they came by HTTP Basic (RFC 6749 §2.3.1)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise TokenRefused(400, "invalid_request", f"Content-Type must be {FORM}")
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
