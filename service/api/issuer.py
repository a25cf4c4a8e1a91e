"""Access tokens of an external OpenID Connect issuer: its published keys, and what its claims say about the caller."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from service.api.caller import SCOPES, BadToken, Caller
from service.api.issuer_keys import IssuerKeys
from service.settings import DEFAULT_TENANT, TENANT_NAME

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey
    from joserfc.jws import JWSRegistry

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384")
"""Asymmetric ones alone: with HMAC a published key would be the secret."""

_LEEWAY = 30
_HEADER_LIMIT = 8192
_TENANT = re.compile(TENANT_NAME)


class Issuer:
    """`url` and `audience` are what `iss` and `aud` of its tokens must name. Each must name its tenant in `tenant_claim`;
    where that is None, all are of the default tenant. `now` gives seconds since 1970."""

    def __init__(
        self, url: str, audience: str, tenant_claim: str | None, keys: IssuerKeys, now: Callable[[], float] = time.time
    ) -> None:
        self._url = url
        self._audience = audience
        self._tenant_claim = tenant_claim
        self._keys = keys
        self._now = now

    def claims_to_be_of(self, token: str) -> bool:
        """Whether the token could be its own. Nothing about it is proven."""
        return _part(token, 1).get("iss") == self._url and _part(token, 0).get("alg") in ALGORITHMS

    async def read(self, token: str) -> Caller:
        """Raises BadToken, or IssuerUnavailable when the keys that could prove it cannot be had."""
        for key in await self._keys.find(_part(token, 0).get("kid")):
            claims = _signed(token, key)
            if claims is not None:
                self._check(claims)
                return self._caller(claims)
        raise BadToken("no key of the issuer made this signature")

    def _check(self, claims: dict[str, Any]) -> None:
        from joserfc.errors import JoseError
        from joserfc.jwt import JWTClaimsRegistry

        rules = JWTClaimsRegistry(
            now=int(self._now()),
            leeway=_LEEWAY,
            iss={"essential": True, "value": self._url},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
        )
        try:
            rules.validate(claims)
        except JoseError as error:
            raise BadToken(type(error).__name__) from None

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        tenant = claims.get(self._tenant_claim) if self._tenant_claim else DEFAULT_TENANT
        client = next((name for name in map(claims.get, ("client_id", "azp", "sub")) if isinstance(name, str)), "")
        if not client or not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            raise BadToken("no client, or no valid tenant")
        return Caller(client, tenant, _scopes(claims))


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Those of ours that the token names, wherever issuers put them; `ambient` when it names none."""
    named: set[str] = set()
    for claim in ("scope", "scp", "roles"):
        value = claims.get(claim)
        words: Sequence[Any] = value.split() if isinstance(value, str) else value if isinstance(value, list) else ()
        named.update(word for word in words if isinstance(word, str))
    return frozenset(SCOPES) & named or frozenset(("ambient",))


def _part(token: str, place: int) -> dict[str, Any]:
    """The header (0) or the claims (1), unproven; empty when they cannot be read."""
    from joserfc.util import urlsafe_b64decode

    parts = token.split(".")
    try:
        content = orjson.loads(urlsafe_b64decode(parts[place].encode())) if len(parts) == 3 else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _signed(token: str, key: ECKey | RSAKey) -> dict[str, Any] | None:
    """The claims; None when this key did not sign them."""
    from joserfc import jwt
    from joserfc.errors import JoseError

    try:
        return dict(jwt.decode(token, key, registry=_registry()).claims)
    except (JoseError, ValueError, TypeError, RecursionError):
        return None


def _registry() -> JWSRegistry:
    """Tolerates header parameters of the issuer's own, and a certificate chain among them."""
    from joserfc.jws import JWSRegistry

    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    registry.max_header_length = _HEADER_LIMIT
    return registry
