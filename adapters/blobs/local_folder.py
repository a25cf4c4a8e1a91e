"""Audio at rest in a folder of this machine, for `AMBIENT_BLOBS__URL=file:FOLDER`."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from service.ambient.ports import StoredBlob, TooLarge
from service.errors import BadConfiguration

_PIECE = 1024 * 1024
_GIVEN = 256 * 1024
_UNFINISHED = ".part"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


class LocalFolder:
    """Implements `service.ambient.ports.Blobs`; every file operation runs in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def from_url(cls, url: str) -> LocalFolder:
        """`file:FOLDER`, relative or absolute; `file:///FOLDER` too. Raises BadConfiguration for anything else."""
        scheme, _, folder = url.partition(":")
        if scheme != "file" or not folder:
            raise BadConfiguration("AMBIENT_BLOBS__URL: write file:FOLDER")
        path = Path(folder.removeprefix("//"))
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadConfiguration(f"AMBIENT_BLOBS__URL: {path} cannot be made: {error.strerror}") from None
        if not os.access(path, os.W_OK):
            raise BadConfiguration(f"AMBIENT_BLOBS__URL: {path} cannot be written")
        return cls(path)

    async def write(self, key: str, chunks: AsyncIterator[bytes], limit: int) -> StoredBlob:
        """Streams to storage; visible only once complete and on disk. Raises TooLarge beyond `limit` bytes."""
        target = self._path(key)
        incoming = target.with_name(f".{uuid4().hex}{_UNFINISHED}")
        file = await asyncio.to_thread(_create, incoming)
        try:
            stored = await _fill(file, chunks, limit)
            await asyncio.to_thread(_publish, file, incoming, target, self._folder)
        except BaseException:
            await asyncio.to_thread(_discard, file, incoming)
            raise
        return stored

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """The bytes in chunks. Raises FileNotFoundError at the first."""
        file = await asyncio.to_thread(self._path(key).open, "rb")
        try:
            while piece := await asyncio.to_thread(file.read, _GIVEN):
                yield piece
        finally:
            await asyncio.to_thread(file.close)

    @asynccontextmanager
    async def as_file(self, key: str) -> AsyncIterator[Path]:
        path = self._path(key)
        if not await asyncio.to_thread(path.is_file):
            raise FileNotFoundError(key)
        yield path

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    async def discard_unfinished(self, prefix: str, older_than: float) -> None:
        """Removes what killed uploads left under `prefix` and nothing was added to for `older_than` seconds."""
        await asyncio.to_thread(_discard_unfinished, self._path(prefix), older_than)

    def _path(self, key: str) -> Path:
        """Raises ValueError for a key that could name something outside the folder, or a file still being written."""
        names = key.split("/")
        if not all(_NAME.fullmatch(name) for name in names):
            raise ValueError("a blob key is names of letters, digits, dot, dash and underscore, separated by slashes")
        return self._folder.joinpath(*names)


async def _fill(file: IO[bytes], chunks: AsyncIterator[bytes], limit: int) -> StoredBlob:
    """Gathers small chunks, so that a thread is asked once for every megabyte."""
    digest, size, pending = hashlib.sha256(), 0, bytearray()
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise TooLarge
        pending += chunk
        if len(pending) >= _PIECE:
            await asyncio.to_thread(_append, file, bytes(pending), digest)
            pending.clear()
    await asyncio.to_thread(_append, file, bytes(pending), digest)
    return StoredBlob(size, digest.hexdigest())


def _append(file: IO[bytes], piece: bytes, digest: hashlib._Hash) -> None:
    digest.update(piece)
    file.write(piece)


def _create(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _publish(file: IO[bytes], incoming: Path, target: Path, root: Path) -> None:
    with file:
        file.flush()
        os.fsync(file.fileno())
    incoming.replace(target)
    for folder in target.parents:
        _sync_folder(folder)
        if folder == root:
            break


def _sync_folder(folder: Path) -> None:
    """A new name is durable only once its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _discard_unfinished(root: Path, older_than: float) -> None:
    latest = time.time() - older_than
    for file in root.rglob(f".*{_UNFINISHED}"):
        with suppress(FileNotFoundError):
            if file.stat().st_mtime <= latest:
                file.unlink()


def _discard(file: IO[bytes], incoming: Path) -> None:
    file.close()
    incoming.unlink(missing_ok=True)
