"""An authorization server for SMART Backend Services (SMART App Launch 2.2 §5), as strict as the specification allows.

It knows its client by the URL of a JWK Set, which it fetches without authentication, keeps for as long as the answer
allows, and does not fetch sooner for a key that it does not know. Each assertion is good for one request.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode

ALGORITHMS = ("RS384", "ES384")
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


class Refused(Exception):
    """`error` as in RFC 6749 §5.2; `why` is for the test alone."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(f"{error}: {why}")
        self.error = error
        self.why = why


class SmartAuthorizationServer:
    """`issuer` is where `app` is served, `http` fetches the client's keys. `clock` gives seconds since 1970.

    `refusals` say why each request was refused; `assertions` are those that were taken.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        issuer: str = "https://login.test",
        client_id: str = "ambient",
        jwks_url: str = "https://house.test/.well-known/jwks.json",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self.jwks_url = jwks_url
        self.lifetime = 300.0
        self.allowed: set[str] | None = None
        self.capabilities = ["client-confidential-asymmetric", "permission-v2"]
        self.algorithms = list(ALGORITHMS)
        self.answers: list[JSONResponse] = []
        self.refusals: list[str] = []
        self.assertions: list[dict[str, Any]] = []
        self.scopes: list[str] = []
        self.fetches = 0
        self.requests = 0
        self._http = http
        self._clock = clock
        self._keys: dict[str, ECKey | RSAKey] = {}
        self._keys_until = 0.0
        self._used: set[str] = set()
        self._tokens: dict[str, float] = {}
        self.app = FastAPI(openapi_url=None)
        self.app.add_api_route("/token", self._token, methods=["POST"])
        self.app.add_api_route("/fhir/R4/.well-known/smart-configuration", self.discover)

    @property
    def token_url(self) -> str:
        return f"{self.issuer}/token"

    def takes(self, authorization: str | None) -> bool:
        """Whether the EHR should serve a request with this header."""
        scheme, _, token = (authorization or "").partition(" ")
        return scheme == "Bearer" and self._tokens.get(token, 0.0) > self._clock()

    def revoke(self) -> None:
        """Every token that was given out so far."""
        self._tokens.clear()

    def forget_keys(self) -> None:
        """As if the time were over for which they may be kept."""
        self._keys_until = 0.0

    async def discover(self) -> JSONResponse:
        return JSONResponse({
            "token_endpoint": self.token_url,
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": self.algorithms,
            "capabilities": self.capabilities,
        })  # fmt: skip

    async def _token(self, request: Request) -> JSONResponse:
        self.requests += 1
        if self.answers:
            return self.answers.pop(0)
        try:
            if request.headers.get("content-type") != "application/x-www-form-urlencoded":
                raise Refused("invalid_request", "not a form")
            return JSONResponse(
                await self.grant((await request.body()).decode()), headers={"Cache-Control": "no-store"}
            )
        except Refused as refused:
            self.refusals.append(str(refused))
            return JSONResponse({"error": refused.error}, 401 if refused.error == "invalid_client" else 400)

    async def grant(self, form: str) -> dict[str, Any]:
        """The token response. Raises Refused."""
        fields = parse_qs(form, strict_parsing=True)
        if any(len(values) > 1 for values in fields.values()):
            raise Refused("invalid_request", "a field twice")
        given = {name: values[0] for name, values in fields.items()}
        if set(given) != {"grant_type", "scope", "client_assertion_type", "client_assertion"}:
            raise Refused("invalid_request", f"fields {sorted(given)}")
        if given["grant_type"] != "client_credentials" or given["client_assertion_type"] != TYPE:
            raise Refused("unsupported_grant_type", "not a signed assertion")
        self.assertions.append(await self._proven(given["client_assertion"]))
        return self._given(given["scope"])

    def _given(self, scope: str) -> dict[str, Any]:
        self.scopes.append(scope)
        granted = [word for word in scope.split() if self.allowed is None or word in self.allowed]
        if not granted:
            raise Refused("invalid_scope", "none of them")
        token = uuid4().hex
        self._tokens[token] = self._clock() + self.lifetime
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": int(self.lifetime),
            "scope": " ".join(granted),
        }

    async def _proven(self, assertion: str) -> dict[str, Any]:
        header = self._header(assertion)
        keys = await self._known_keys()
        if header["kid"] not in keys:
            raise Refused("invalid_client", "kid")
        try:
            claims = dict(jwt.decode(assertion, keys[header["kid"]], algorithms=[header["alg"]]).claims)
        except (JoseError, ValueError) as error:
            raise Refused("invalid_client", f"signature {type(error).__name__}") from None
        self._check(claims)
        return {**claims, "header": header}

    def _header(self, assertion: str) -> dict[str, Any]:
        try:
            first, _, _ = assertion.split(".")
            header: dict[str, Any] = json.loads(urlsafe_b64decode(first.encode()))
        except ValueError:
            raise Refused("invalid_client", "not a JWT") from None
        if header.get("alg") not in self.algorithms:
            raise Refused("invalid_client", "alg")
        if header.get("typ") != "JWT" or not isinstance(header.get("kid"), str):
            raise Refused("invalid_client", "typ or kid")
        if header.get("jku", self.jwks_url) != self.jwks_url:
            raise Refused("invalid_client", "jku")
        return header

    def _check(self, claims: dict[str, Any]) -> None:
        now = self._clock()
        if claims.get("iss") != self.client_id or claims.get("sub") != self.client_id:
            raise Refused("invalid_client", "iss or sub")
        if claims.get("aud") != self.token_url:
            raise Refused("invalid_client", "aud")
        exp, jti = claims.get("exp"), claims.get("jti")
        if not isinstance(exp, int) or exp <= now:
            raise Refused("invalid_client", "expired")
        if exp > now + 300:
            raise Refused("invalid_client", "exp too far ahead")
        if any(not isinstance(claims.get(name, 0), int) or claims.get(name, 0) > now for name in ("iat", "nbf")):
            raise Refused("invalid_client", "from the future")
        if not isinstance(jti, str) or not 0 < len(jti) <= 151:
            raise Refused("invalid_client", "jti")
        if jti in self._used:
            raise Refused("invalid_client", "replayed")
        self._used.add(jti)

    async def _known_keys(self) -> dict[str, ECKey | RSAKey]:
        if self._clock() >= self._keys_until:
            self.fetches += 1
            answer = await self._http.get(self.jwks_url, headers={"Accept": "application/json"})
            assert answer.status_code == 200, "redirects and refusals are not followed up"
            assert answer.headers["Content-Type"].startswith("application/json")
            keys = answer.json()["keys"]
            assert not any(_PRIVATE & set(key) for key in keys), "a private member was published"
            self._keys = {key["kid"]: _public(key) for key in keys}
            age = re.search(r"max-age=(\d+)", answer.headers.get("Cache-Control", ""))
            self._keys_until = self._clock() + (float(age[1]) if age else 0.0)
        return self._keys


def _public(key: dict[str, Any]) -> ECKey | RSAKey:
    assert key["use"] == "sig"
    assert key["alg"] == {"RSA": "RS384", "EC": "ES384"}[key["kty"]]
    return ECKey.import_key(key) if key["kty"] == "EC" else RSAKey.import_key(key)
