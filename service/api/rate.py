"""How often something happened in a minute. Counted in this process alone: with several, each counts its own."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from time import monotonic

_WINDOW = 60.0


@dataclass(slots=True)
class _Window:
    began: float
    count: int = 0


class Rate:
    """At most `most` for a key in its minute, which begins with the first. Of more than `keys` the oldest is forgotten."""

    def __init__(self, most: int, now: Callable[[], float] = monotonic, keys: int = 10_000) -> None:
        self._most = most
        self._now = now
        self._keys = keys
        self._windows: dict[Hashable, _Window] = {}
        """In the order in which they began."""

    def wait(self, key: Hashable) -> int:
        """Whole seconds until the key may go on; 0 when it may now."""
        window = self._windows.get(key)
        if window is None or window.count < self._most:
            return 0
        return max(math.ceil(window.began + _WINDOW - self._now()), 0)

    def count(self, key: Hashable) -> None:
        now = self._now()
        self._forget(now)
        self._windows.setdefault(key, _Window(now)).count += 1

    def _forget(self, now: float) -> None:
        while self._windows:
            oldest = next(iter(self._windows))
            if self._windows[oldest].began + _WINDOW > now and len(self._windows) < self._keys:
                return
            del self._windows[oldest]


def network_of(address: str) -> str:
    """What one caller holds: an IPv4 address, as a socket for both shows it too, or the /64 of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
