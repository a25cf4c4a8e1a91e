"""The public keys of an OpenID Connect issuer, kept and fetched again when that can help."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from service.errors import IssuerUnavailable

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

RENEW_AFTER = 600.0
FETCH_APART = 30.0
TRY_AGAIN = 5.0
_SMALLEST_RSA = 2048  # RFC 7518 §3.3

log = structlog.get_logger()


class PublishedKeys(Protocol):
    async def fetch(self) -> Sequence[Mapping[str, Any]]:
        """The JWKs that the issuer publishes now. Raises IssuerUnavailable."""
        ...


class IssuerKeys:
    """`now` in seconds, of any beginning.

    Keys older than RENEW_AFTER are renewed while they are used, those of an issuer that does not answer are used on. A
    key that is not known is asked for at most every FETCH_APART seconds, TRY_AGAIN after a failure.
    """

    def __init__(self, published: PublishedKeys, now: Callable[[], float] = monotonic) -> None:
        self._published = published
        self._now = now
        self._keys: tuple[ECKey | RSAKey, ...] = ()
        self._fetched_at: float | None = None
        self._failed_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: object) -> list[ECKey | RSAKey]:
        """Those of this id; all when the token names none. Raises IssuerUnavailable when a missing one cannot be had."""
        if self._fetched_at is not None and self._now() - self._fetched_at >= RENEW_AFTER:
            self._renew_behind()
        found = self._of(kid)
        if not found and self._fetch_may_help():
            await asyncio.shield(self._fetch())
            found = self._of(kid)
        if not found and self._failed_at is not None:
            raise IssuerUnavailable("the issuer's keys cannot be had")
        return found

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _of(self, kid: object) -> list[ECKey | RSAKey]:
        return [key for key in self._keys if kid is None or key.kid == kid]

    def _fetch_may_help(self) -> bool:
        if self._failed_at is not None:
            return self._now() - self._failed_at >= TRY_AGAIN
        return self._fetched_at is None or self._now() - self._fetched_at >= FETCH_APART

    def _renew_behind(self) -> None:
        if self._failed_at is None or self._now() - self._failed_at >= TRY_AGAIN:
            self._fetch()

    def _fetch(self) -> asyncio.Task[None]:
        """One at a time, whoever asks; a caller that leaves does not take it along."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetched())
        return self._fetching

    async def _fetched(self) -> None:
        try:
            published = await self._published.fetch()
        except IssuerUnavailable as error:
            log.warning("issuer_unavailable", error=error)
            self._failed_at = self._now()
            return
        self._keys = tuple(key for key in map(_imported, published) if key is not None)
        self._fetched_at, self._failed_at = self._now(), None


def _imported(jwk: Mapping[str, Any]) -> ECKey | RSAKey | None:
    """None for a key that is not for signatures, or of a kind that is not taken."""
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, RSAKey

    if jwk.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in jwk.items() if name not in ("x5c", "key_ops")}
    try:
        if jwk.get("kty") == "EC":
            return ECKey.import_key(public)
        rsa = RSAKey.import_key(public) if jwk.get("kty") == "RSA" else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return rsa if rsa and rsa.raw_value.key_size >= _SMALLEST_RSA else None
