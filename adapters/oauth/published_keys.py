"""What an OpenID Connect issuer publishes (OpenID Connect Discovery 1.0 §4): where its keys are, and the keys."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from service.errors import IssuerUnavailable
from service.unsafe_settings import is_loopback

_LARGEST = 1024**2
_MOST_KEYS = 100


class PublishedKeys:
    """Follows no redirects: what may name a key is the issuer's own word alone."""

    def __init__(self, http: httpx.AsyncClient, issuer: str) -> None:
        self._http = http
        self._issuer = issuer

    async def fetch(self) -> list[dict[str, Any]]:
        """Raises IssuerUnavailable."""
        document = await self._read(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != self._issuer:
            raise IssuerUnavailable("its discovery document names another issuer than AMBIENT_API__OIDC_ISSUER")
        keys = (await self._read(self._safe(document.get("jwks_uri")))).get("keys")
        if not isinstance(keys, list):
            raise IssuerUnavailable("its jwks_uri answers no keys")
        return [key for key in keys[:_MOST_KEYS] if isinstance(key, dict)]

    def _safe(self, uri: object) -> str:
        """As safe as the issuer's own URL."""
        try:
            parts = urlsplit(str(uri))
        except ValueError:
            parts = urlsplit("")
        plain = parts.scheme == "http" and self._issuer.startswith("http://") and is_loopback(parts.hostname or "")
        if not plain and parts.scheme != "https":
            raise IssuerUnavailable("its discovery document names no safe jwks_uri")
        return str(uri)

    async def _read(self, url: str) -> dict[str, Any]:
        body = bytearray()
        try:
            async with self._http.stream("GET", url, headers={"Accept": "application/json"}) as answer:
                if answer.status_code != 200:
                    raise IssuerUnavailable(f"status {answer.status_code}")
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > _LARGEST:
                        raise IssuerUnavailable("its answer is too large")
            content = orjson.loads(body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise IssuerUnavailable(type(error).__name__) from None
        except ValueError:
            raise IssuerUnavailable("its answer is not JSON") from None
        if not isinstance(content, dict):
            raise IssuerUnavailable("its answer is not a JSON object")
        return content
