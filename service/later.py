"""What a start does not need must not slow it down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Later:
    """Stands for something that is made at its first use: what a start does not need must not slow it down."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self._made: object = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)
