"""OAuth 2 client credentials (RFC 6749 §4.4): one token for all requests of a client, renewed ahead of its end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from time import monotonic

import httpx

from service.errors import NeedsPerson, Retryable

_AHEAD = 60.0
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 §2.1


class ClientCredentials(httpx.Auth):
    """Token requests go through the same client, before the request that needs one.

    On 401 the token is renewed and the request sent once more, unless its body was a stream: that cannot be sent
    twice, so the 401 is passed on and the next request gets a new token. `whose` begins the reasons: `ehr`, `engine`.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str | None,
        whose: str,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._token_url = token_url
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        if scope:
            self._form["scope"] = scope
        self._whose = whose
        self._now = now
        self._token = ""
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Raises NeedsPerson when the credentials are refused, Retryable when the token endpoint fails."""
        async with self._lock:
            if not self._token or self._now() >= self._renew_at:
                await self._keep((yield self._token_request(request)))
        used = self._bear(request)
        response = yield request
        if response.status_code != 401:
            return
        self._forget(used)
        if not isinstance(request.stream, httpx.ByteStream):
            return
        async with self._lock:
            if not self._token:
                await self._keep((yield self._token_request(request)))
        self._bear(request)
        yield request

    def _bear(self, request: httpx.Request) -> str:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return self._token

    def _forget(self, used: str) -> None:
        """Another request may have renewed it already."""
        if self._token == used:
            self._token = ""

    def _token_request(self, request: httpx.Request) -> httpx.Request:
        extensions = {name: value for name, value in request.extensions.items() if name == "timeout"}
        accept = {"Accept": "application/json"}
        return httpx.Request("POST", self._token_url, data=self._form, headers=accept, extensions=extensions)

    async def _keep(self, response: httpx.Response) -> None:
        await response.aread()
        if response.status_code >= 500 or response.status_code in (408, 425, 429):
            wish = response.headers.get("Retry-After", "")
            after = float(wish) if wish.isdecimal() else None
            raise Retryable(f"{self._whose}_token_unavailable", f"status {response.status_code}", after)
        if not response.is_success:
            raise NeedsPerson(f"{self._whose}_credentials_refused", f"status {response.status_code}")
        try:
            granted = response.json()
            token, lifetime = granted["access_token"], float(granted.get("expires_in") or 300)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            token, lifetime = "", 0.0
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise Retryable(f"{self._whose}_token_unavailable", "the answer is not a token")
        self._token, self._renew_at = token, self._now() + max(lifetime - _AHEAD, lifetime / 2)
