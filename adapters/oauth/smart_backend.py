"""SMART Backend Services (SMART App Launch 2.2 §5): tokens for a signed assertion instead of a secret (RFC 7523)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import structlog

from adapters.oauth.access_token import AccessToken, Taken
from adapters.oauth.key_file import ALGORITHMS, ClientKey
from adapters.oauth.refusals import Refusals
from adapters.oauth.smart_scopes import missing_scopes, wished_scopes
from service.errors import NeedsPerson

LIFETIME = 240
"""Seconds that an assertion is good for: at most 300 are allowed, and the server's clock may be behind ours."""

BACKDATED = 30
"""Seconds that an assertion is older than it is, for a server whose clock is behind ours."""

PROPAGATION = 5400.0
"""Epic takes up to an hour to learn of a new client or key, and answers `invalid_client` meanwhile."""

_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_WORDS = {
    "invalid_client": "the EHR does not know this client id, or not the key that signed. Check the id, and that the EHR can "
    "fetch our /.well-known/jwks.json; new ids and keys may take an hour; a clock that is wrong by minutes does this too",
    "unauthorized_client": "the EHR knows the client, and it may not act alone. Allow it backend access there; at Epic, map "
    "its background user",
    "invalid_scope": "the client may have none of the scopes asked for: grant them in the EHR, or set AMBIENT_EHR__AUTH__SCOPE",
    "invalid_grant": "the EHR does not take our assertion: check both clocks, and AMBIENT_EHR__AUTH__TOKEN_URL",
    "invalid_request": "the EHR does not take our request: check AMBIENT_EHR__AUTH__TOKEN_URL",
    "unsupported_grant_type": "this token endpoint does not offer SMART Backend Services",
}

log = structlog.get_logger()


class Keys(Protocol):
    def signing(self, accepted: tuple[str, ...] = ...) -> ClientKey: ...


@dataclass(frozen=True, slots=True)
class Client:
    """Where `token_url` or `scope` is None, the EHR is asked (`[base]/.well-known/smart-configuration`). `jwks_url` is what
    the EHR knows our keys' place as, or None."""

    client_id: str
    base_url: str
    token_url: str | None
    scope: str | None
    jwks_url: str | None


@dataclass(frozen=True, slots=True)
class Discovered:
    """`accepted` are the algorithms for assertions."""

    token_url: str
    scope: str
    accepted: tuple[str, ...] = ALGORITHMS


class SmartBackend(AccessToken):
    """`clock` gives seconds since 1970, `now` those of any beginning. What the EHR says of itself is asked again after each
    refusal: its token endpoint may have moved."""

    def __init__(
        self,
        client: Client,
        keys: Keys,
        *,
        now: Callable[[], float] = monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(Refusals("ehr", _WORDS, patience=PROPAGATION, now=now), "ehr", now)
        self._client = client
        self._keys = keys
        self._clock = clock
        self._found = Discovered(client.token_url, client.scope) if client.token_url and client.scope else None
        self.missing: list[str] = []
        """The scopes that the last token lacks."""

    def _question(self) -> tuple[httpx.Request, Taken]:
        if self._found is None:
            url = f"{self._client.base_url}/.well-known/smart-configuration"
            return httpx.Request("GET", url, headers={"Accept": "application/json"}), self._discover
        key = self._keys.signing(self._found.accepted)
        form = {
            "grant_type": "client_credentials",
            "scope": self._found.scope,
            "client_assertion_type": _TYPE,
            "client_assertion": assertion(key, self._client, self._found.token_url, self._clock()),
        }
        asked = httpx.Request("POST", self._found.token_url, data=form, headers={"Accept": "application/json"})
        return asked, self._take

    def _take(self, response: httpx.Response) -> bool:
        if response.status_code in (400, 401, 403, 404) and not (self._client.token_url and self._client.scope):
            self._found = None
        return self._keep(response)

    def _discover(self, response: httpx.Response) -> bool:
        """Raises Retryable, or NeedsPerson when the EHR does not say where its token endpoint is."""
        self._refuse_failure(response)
        said = _object(response) if response.is_success else {}
        words = said.get("capabilities")
        token_url = self._client.token_url or _safe(said.get("token_endpoint"), self._client.base_url)
        if token_url is None:
            detail = f"status {response.status_code}: the EHR's smart-configuration names no safe token endpoint"
            raise NeedsPerson("ehr_token_endpoint_unknown", detail)
        scope = self._client.scope or wished_scopes([str(w) for w in words] if isinstance(words, list) else [])
        offered = said.get("token_endpoint_auth_signing_alg_values_supported")
        accepted = tuple(a for a in ALGORITHMS if not isinstance(offered, list) or a in offered)
        self._found = Discovered(token_url, scope, accepted or ALGORITHMS)
        return False

    def _granted(self, answer: dict[str, Any]) -> None:
        scope = answer.get("scope")
        missing = missing_scopes(scope if isinstance(scope, str) else None)
        if missing and missing != self.missing:
            log.warning("scopes_not_granted", destination="ehr", detail=" ".join(missing))
        self.missing = missing


def assertion(key: ClientKey, client: Client, token_url: str, now: float) -> str:
    """A JWT for one request alone. `now` in seconds since 1970."""
    from joserfc import jwt

    header = {
        "alg": key.algorithm,
        "kid": key.kid,
        "typ": "JWT",
        **({"jku": client.jwks_url} if client.jwks_url else {}),
    }
    names = {"iss": client.client_id, "sub": client.client_id, "aud": token_url, "jti": str(uuid4())}
    past = int(now) - BACKDATED
    times = {"iat": past, "nbf": past, "exp": int(now) + LIFETIME}
    return jwt.encode(header, {**names, **times}, key.key, algorithms=list(ALGORITHMS))


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _safe(url: object, base_url: str) -> str | None:
    """As safe as the EHR's own URL."""
    try:
        parts = urlsplit(str(url or ""))
    except ValueError:
        return None
    plain = parts.scheme == "http" and base_url.startswith("http://")
    return str(url) if parts.hostname and (plain or parts.scheme == "https") else None
