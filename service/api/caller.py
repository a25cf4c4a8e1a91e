"""Who calls, as every way of showing it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["ambient", "events", "operations"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class BadToken(Exception):
    """Not of the one whose keys were asked, expired, or not a token at all."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`client_id` is None where the API is open to all."""

    client_id: str | None
    tenant: str
    scopes: frozenset[str]
