"""A small OpenID Connect issuer over HTTP, with keys that a test can rotate."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

NOW = 1_800_000_000


class OpenIdIssuer:
    """`url` is set by whoever serves it. What it answers can be replaced piece by piece."""

    def __init__(self, url: str = "http://127.0.0.1:9") -> None:
        self.url = url
        self.keys: dict[str, Key] = {}
        self.document: Any = {}
        self.fetches = 0
        self.status = 200
        self.app = FastAPI(openapi_url=None)
        self.app.add_api_route("/.well-known/openid-configuration", self._discover)
        self.app.add_api_route("/keys", self._publish)

    async def _discover(self) -> JSONResponse:
        return JSONResponse(self.document or {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}, self.status)

    async def _publish(self) -> JSONResponse:
        self.fetches += 1
        published = [{**key.as_dict(private=False), "kid": kid, "use": "sig"} for kid, key in self.keys.items()]
        return JSONResponse({"keys": [{"kty": "OKP", "kid": "odd"}, *published]}, self.status)

    def rotate(self, kid: str, algorithm: str = "RS256") -> None:
        """From now on this key alone."""
        curves = {"ES256": "P-256", "ES384": "P-384"}
        curve = curves.get(algorithm)
        self.keys = {kid: ECKey.generate_key(curve) if curve else RSAKey.generate_key(2048)}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Of a token that is taken; a claim of None is left out."""
        names = {"iss": self.url, "aud": "ambient", "sub": "user-1", "azp": "portal", "tenant": "clinic"}
        times = {"iat": NOW - 10, "exp": NOW + 300}
        return {name: value for name, value in {**names, **times, **changes}.items() if value is not None}

    def token(self, algorithm: str = "RS256", kid: str | None = None, **changes: Any) -> str:
        known, key = next(iter(self.keys.items()))
        header = {"alg": algorithm, "kid": kid or known}
        return jwt.encode(header, self.claims(**changes), key, algorithms=[algorithm])
