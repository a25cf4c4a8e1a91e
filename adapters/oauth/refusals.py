"""What a token endpoint's refusal means (RFC 6749 §5.2), and how long it is waited for before a person is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic

import httpx
import structlog

from service.errors import NeedsPerson, Retryable

ASK_AGAIN = 60.0
REMEMBERED = 10.0

log = structlog.get_logger()


class Refusals:
    """One client's at one token endpoint. `words` say what to do about an error code; codes that are not among them are
    not repeated, since an answer may hold anything. `whose` begins the reason.

    `patience` is for `invalid_client`, in seconds since the first in a row: an authorization server may take that long to
    learn of a client or of its new key, and nobody need be called for it. Any other refusal is a person's at once.
    """

    def __init__(
        self, whose: str, words: Mapping[str, str], *, patience: float = 0.0, now: Callable[[], float] = monotonic
    ) -> None:
        self._whose = whose
        self._words = words
        self._patience = patience
        self._now = now
        self._first: float | None = None
        self._last: tuple[float, NeedsPerson | Retryable] | None = None

    def again(self) -> None:
        """Raises the last refusal while it is fresh: a server that is asked over and over may lock the client out."""
        if self._last is not None and self._now() < self._last[0] + REMEMBERED:
            raise self._same(self._last[1])

    def over(self) -> None:
        self._first = self._last = None

    def refused(self, response: httpx.Response) -> NeedsPerson | Retryable:
        code, now = _code(response), self._now()
        known = code if code in self._words else ""
        detail = ", ".join(filter(None, (f"status {response.status_code}", known)))
        if known:
            detail += f": {self._words[known]}"
        log.warning("token_refused", destination=self._whose, status=response.status_code, code=known, detail=detail)
        self._first = now if self._first is None else self._first
        may_pass = code == "invalid_client" and now < self._first + self._patience
        outcome = self._outcome(detail, ASK_AGAIN if may_pass else None)
        self._last = now, outcome
        return outcome

    def _outcome(self, detail: str, after: float | None) -> NeedsPerson | Retryable:
        if after is None:
            return NeedsPerson(f"{self._whose}_credentials_refused", detail)
        return Retryable(f"{self._whose}_credentials_refused", detail, after)

    def _same(self, outcome: NeedsPerson | Retryable) -> NeedsPerson | Retryable:
        """A new exception: one that was raised before drags along what it went through."""
        return self._outcome(outcome.detail, outcome.after if isinstance(outcome, Retryable) else None)


def _code(response: httpx.Response) -> str:
    try:
        content = response.json()
    except (ValueError, RecursionError):
        return ""
    return str(content.get("error") or "") if isinstance(content, dict) else ""
