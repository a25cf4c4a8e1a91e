"""The bearer check in front of every protected route: tokens of our own, and those of an external issuer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from fastapi import HTTPException, Request

from service.api.caller import SCOPES, BadToken, Caller, Scope
from service.api.issuer import Issuer
from service.api.issuer_keys import TRY_AGAIN
from service.api.tokens import Tokens
from service.errors import IssuerUnavailable
from service.settings import DEFAULT_TENANT, ApiClient

ANONYMOUS = "anonymous"
"""The caller's name in the log where the API is open to all."""


class Access:
    """The configured clients, and the issuer of others. Tenant and scopes of a client are those configured now, not
    when its token was made."""

    def __init__(self, clients: Mapping[str, ApiClient], tokens: Tokens, issuer: Issuer | None = None) -> None:
        self._clients = clients
        self._tokens = tokens
        self._issuer = issuer

    def require(self, scope: Scope) -> Callable[[Request], Awaitable[Caller]]:
        """A dependency that yields the caller, and puts its tenant and name into `request.state`.

        Without clients and issuer everybody may do everything. Else 401 without a valid token; 403 without the scope,
        with another tenant than the caller's, and for the ambient API without `Tenant-Name`; 503 when the issuer's
        keys cannot be had.
        """

        async def caller(request: Request) -> Caller:
            token = bearer(request.headers.get("authorization", "")) or ""
            caller = await self.admit(token, scope, request.headers.get("tenant-name") or None)
            request.state.tenant = caller.tenant
            request.state.client = caller.client_id or ANONYMOUS
            return caller

        return caller

    async def admit(self, token: str, scope: Scope, named: str | None) -> Caller:
        """`named` is the tenant that the request names. Raises HTTPException as `require` says."""
        if not self._clients and self._issuer is None:
            return Caller(None, named or DEFAULT_TENANT, frozenset(SCOPES))
        try:
            caller = await self._identified(token)
        except BadToken:
            raise HTTPException(401) from None
        except IssuerUnavailable:
            wait = {"Retry-After": f"{TRY_AGAIN:.0f}"}
            raise HTTPException(503, "the token's issuer cannot be asked for its keys", wait) from None
        _check(caller, scope, named)
        return caller

    async def tenant(self, token: str, named: str | None) -> str:
        """Of a caller of the ambient API that is no HTTP request. Raises HTTPException."""
        return (await self.admit(token, "ambient", named)).tenant

    async def _identified(self, token: str) -> Caller:
        if self._issuer and self._issuer.claims_to_be_of(token):
            return await self._issuer.read(token)
        claims = await self._tokens.read(token)
        client = self._clients.get(claims.client_id)
        if client is None or client.tenant != claims.tenant:
            raise BadToken("the client is not configured any more")
        return Caller(claims.client_id, client.tenant, frozenset(client.scopes))


def bearer(authorization: str) -> str | None:
    """The token of an `Authorization` value; None when it has another scheme."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _check(caller: Caller, scope: Scope, named: str | None) -> None:
    if scope not in caller.scopes:
        raise HTTPException(403, "this client lacks the scope for this resource")
    if named is None and scope == "ambient":
        raise HTTPException(403, "the header Tenant-Name is required")
    if named is not None and named != caller.tenant:
        raise HTTPException(403, "the token belongs to another tenant")
