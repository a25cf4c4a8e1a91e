"""One access token for all requests of a client (RFC 6749 §4.4), renewed ahead of its end and on 401."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from time import monotonic
from typing import Any

import httpx

from adapters.oauth.refusals import Refusals
from service.errors import Retryable
from service.workflow.retry_after import retry_after

Taken = Callable[[httpx.Response], bool]

_AHEAD = 30.0
_SHARE = 0.8
_TRY_AGAIN = 10.0
_LIFETIME = 300.0
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 §2.1


class AccessToken(httpx.Auth, ABC):
    """Token requests go through the same client, before the request that needs one; one asks for all that wait.

    A token is renewed when 80 % of its time are over, or 30 s before its end if that is sooner: by one request, while the
    others use the old one. When that fails, so does this request alone, and the next is tried 10 s later.

    On 401 the token is renewed and the request sent once more, unless its body was a stream: that cannot be sent
    twice, so the 401 is passed on and the next request gets a new token. `whose` begins the reasons: `ehr`, `engine`.
    """

    def __init__(self, refusals: Refusals, whose: str, now: Callable[[], float] = monotonic) -> None:
        self._refusals = refusals
        self._whose = whose
        self._now = now
        self._token = ""
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._lock = asyncio.Lock()

    @abstractmethod
    def _question(self) -> tuple[httpx.Request, Taken]:
        """What is asked next, and what takes the answer: true once that was the token. Raises BadConfiguration."""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Raises NeedsPerson when the credentials are refused, Retryable when the token endpoint fails."""
        for again in (False, True):
            if self._is_due():
                waited = self._lock.locked()
                async with self._lock:
                    done = not self._is_due() or self._begin(waited)
                    while not done:
                        ask, take = self._question()
                        answer = yield _with_half_the_patience(ask, request)
                        await answer.aread()
                        done = take(answer)
            used = self._bear(request)
            response = yield request
            if again or response.status_code != 401:
                return
            self._forget(used)
            if not isinstance(request.stream, httpx.ByteStream):
                return

    def _begin(self, waited: bool) -> bool:
        """False: the token is not there yet. Raises Retryable for who waited for an attempt that came to nothing: one after
        the other they would wait for longer than their requests may take."""
        self._refusals.again()
        if waited:
            raise Retryable(f"{self._whose}_token_unavailable", "another request has just asked in vain")
        self._renew_at = self._now() + _TRY_AGAIN
        return False

    def _is_due(self) -> bool:
        now = self._now()
        return not self._token or now >= self._renew_at or now >= self._ends_at

    def _bear(self, request: httpx.Request) -> str:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return self._token

    def _forget(self, used: str) -> None:
        """Another request may have renewed it already."""
        if self._token == used:
            self._token = ""

    def _keep(self, response: httpx.Response) -> bool:
        self._refuse_failure(response)
        if not response.is_success:
            raise self._refusals.refused(response)
        try:
            granted = response.json()
            token, lifetime = granted["access_token"], float(granted.get("expires_in") or _LIFETIME)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            granted, token, lifetime = {}, "", 0.0
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise Retryable(f"{self._whose}_token_unavailable", "the answer is not a token")
        self._refusals.over()
        now = self._now()
        self._token, self._ends_at = token, now + max(lifetime, 1.0)
        self._renew_at = now + max(min(_SHARE * lifetime, lifetime - _AHEAD), lifetime / 2)
        self._granted(granted)
        return True

    def _granted(self, answer: dict[str, Any]) -> None:
        """What else the answer said."""

    def _refuse_failure(self, response: httpx.Response) -> None:
        """Raises Retryable for a failure that may pass."""
        if response.status_code >= 500 or response.status_code in (408, 425, 429):
            after = retry_after(response.headers.get("Retry-After"))
            raise Retryable(f"{self._whose}_token_unavailable", f"status {response.status_code}", after)


def _with_half_the_patience(ask: httpx.Request, request: httpx.Request) -> httpx.Request:
    """The request that needs the token has its own bound, within which a token endpoint that hangs must be noticed."""
    patience = request.extensions.get("timeout") or {}
    ask.extensions = {"timeout": {name: value / 2 if value else value for name, value in patience.items()}}
    return ask
