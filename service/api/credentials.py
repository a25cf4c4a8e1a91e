"""Whether a client is who it says: its secret, and how often a wrong one may be tried."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from service.api.caller import Scope
from service.api.rate import Rate
from service.client_secrets import ScryptHash, is_hashed, same
from service.settings import ApiClient

WRONG_ONES = 10
"""Wrong secrets in a minute, of one address for one client."""

_AT_ONCE = 2
_LONGEST_NAME = 100


class TokenRefused(Exception):
    """Ends a token request with RFC 6749's error body. `wait` in seconds."""

    def __init__(self, status: int, error: str, description: str, wait: int = 0) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description
        self.wait = wait


class Credentials:
    """Where one client's secret is hashed, every check costs a hash: the time tells nothing about the others."""

    def __init__(self, clients: Mapping[str, ApiClient], wrong: Rate | None = None) -> None:
        self._clients = clients
        self._wrong = wrong or Rate(WRONG_ONES)
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        stored = [client.secret.get_secret_value() for client in clients.values()]
        hashes = [ScryptHash.read(text) for text in stored if is_hashed(text)]
        self._decoy = max(hashes, key=lambda one: one.block * one.lanes << one.log_cost, default=None)

    async def verified(self, address: str, tenant: str, client_id: str, secret: str) -> list[Scope]:
        """The client's scopes. Raises TokenRefused. Few at once, so that a flood takes neither threads nor memory."""
        key = (address, client_id[:_LONGEST_NAME])
        async with self._at_once:
            if wait := self._wrong.wait(key):
                raise slow_down(wait)
            client = self._clients.get(client_id)
            matches = await self._matches(client, secret)
            if client is not None and client.tenant == tenant and matches:
                return list(client.scopes)
            self._wrong.count(key)
        if client is None or client.tenant != tenant:
            raise TokenRefused(401, "invalid_client", "unknown client")
        raise TokenRefused(401, "unauthorized_client", "wrong client secret")

    async def _matches(self, client: ApiClient | None, secret: str) -> bool:
        stored = client.secret.get_secret_value() if client else ""
        if is_hashed(stored):
            return await asyncio.to_thread(ScryptHash.read(stored).matches, secret)
        if self._decoy:
            await asyncio.to_thread(self._decoy.matches, secret)
        return same(stored, secret)


def slow_down(wait: int) -> TokenRefused:
    return TokenRefused(429, "slow_down", f"too many token requests; wait {wait} s", wait)
