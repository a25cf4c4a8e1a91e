"""What the sandbox EHR needs from outside: a place for resources with their versions, and a place for bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Token:
    """One thing that a resource can be found by: a search parameter and the text it is compared with."""

    parameter: str
    text: str


@dataclass(frozen=True, slots=True)
class Criterion:
    """Holds when the resource has any of these tokens; several criteria must all hold."""

    any_of: frozenset[Token]


@dataclass(frozen=True, slots=True)
class Draft:
    """A version about to be written. `render(version, last_updated)` gives its JSON once those are known.

    `blob` and `size` (bytes) are set for the content of a Binary, which is stored before its row.
    """

    type: str
    id: str
    tokens: frozenset[Token]
    render: Callable[[int, datetime], str]
    blob: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource; `body` is its JSON, None when this version is a deletion."""

    type: str
    id: str
    version: int
    last_updated: datetime
    body: str | None
    blob: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """`created` is False when an existing resource was updated, or was found by a conditional create."""

    resource: Stored
    created: bool


@dataclass(frozen=True, slots=True)
class Page:
    """`after` continues the search; None on the last page. `total` counts all pages."""

    total: int
    resources: Sequence[Stored]
    after: int | None


class NotSelective(Exception):
    """The criteria of a conditional create match more than one resource; nothing was written."""


class StaleVersion(Exception):
    """The version that the client saw is not the current one; nothing was written."""


class SandboxStore(Protocol):
    async def read(self, resource_type: str, resource_id: str, version: int | None = None) -> Stored | None:
        """The current version (or a deletion), or the one asked for; None when there never was one."""
        ...

    async def create(self, draft: Draft, unless: Sequence[Criterion] = ()) -> Written:
        """Writes version 1, unless a resource of the type matches the criteria: then that one, nothing written.

        Looking and writing are one step for all callers. Raises NotSelective.
        """
        ...

    async def update(self, draft: Draft, if_match: int | None) -> Written:
        """Writes the next version, or version 1 of an id not seen before. Raises StaleVersion."""
        ...

    async def delete(self, resource_type: str, resource_id: str, if_match: int | None) -> Sequence[str]:
        """Adds a deletion, once; gives the blobs of all versions, now unused. Raises StaleVersion."""
        ...

    async def search(self, resource_type: str, criteria: Sequence[Criterion], after: int, count: int) -> Page:
        """At most `count` matches in order of creation, from `after` (0: the start)."""
        ...


class BlobSize(Protocol):
    @property
    def size(self) -> int:
        """In bytes."""
        ...


class Blobs(Protocol):
    """Contents of Binary resources. Keys are slash-separated names that this package makes."""

    async def write(self, key: str, chunks: AsyncIterator[bytes], limit: int) -> BlobSize:
        """Streams to storage; visible only once complete. An exception of `chunks` passes through, nothing is kept."""
        ...

    def read(self, key: str) -> AsyncIterator[bytes]:
        """The bytes in chunks. Raises FileNotFoundError."""
        ...

    async def delete(self, key: str) -> None:
        """Deletes; a key that does not exist is fine."""
        ...
