"""Audio at rest in a folder."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.blobs.local_folder import LocalFolder
from service.ambient.ports import TooLarge
from service.errors import BadConfiguration
from tests.ambient_service import pieces

AUDIO = bytes(range(256)) * 10_000


async def _read(blobs: LocalFolder, key: str) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(key)])


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_what_was_written_is_read_back_and_measured(tmp_path: Path) -> None:
    blobs = LocalFolder(tmp_path / "blobs")
    stored = await blobs.write("audio/ab/one", pieces(AUDIO), len(AUDIO))
    assert (stored.size, stored.sha256) == (len(AUDIO), hashlib.sha256(AUDIO).hexdigest())
    assert await _read(blobs, "audio/ab/one") == AUDIO
    async with blobs.as_file("audio/ab/one") as path:
        assert path.read_bytes() == AUDIO


async def test_nothing_is_visible_before_it_is_complete(tmp_path: Path) -> None:
    blobs = LocalFolder(tmp_path)

    async def chunks() -> AsyncIterator[bytes]:
        yield AUDIO
        with pytest.raises(FileNotFoundError):
            await _read(blobs, "one")

    await blobs.write("one", chunks(), len(AUDIO))
    assert _names(tmp_path) == ["one"]


async def test_nothing_is_kept_of_what_is_too_large_or_breaks_off(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield AUDIO
        raise ConnectionError

    blobs = LocalFolder(tmp_path)
    with pytest.raises(TooLarge):
        await blobs.write("one", pieces(AUDIO), len(AUDIO) - 1)
    with pytest.raises(ConnectionError):
        await blobs.write("one", broken(), len(AUDIO))
    assert _names(tmp_path) == []


async def test_deleting_twice_is_fine_and_what_is_gone_is_not_found(tmp_path: Path) -> None:
    blobs = LocalFolder(tmp_path)
    await blobs.write("one", pieces(b"x"), 1)
    await blobs.delete("one")
    await blobs.delete("one")
    with pytest.raises(FileNotFoundError):
        await _read(blobs, "one")
    with pytest.raises(FileNotFoundError):
        async with blobs.as_file("one"):
            pass


@pytest.mark.parametrize("key", ["", "..", "../one", "a/../../b", "/etc/passwd", "a//b", ".hidden", "a\x00b", "a\\b"])
async def test_a_key_cannot_leave_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="blob key"):
        await LocalFolder(tmp_path / "blobs").write(key, pieces(b"x"), 1)
    assert _names(tmp_path) == []


def _aged(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


async def test_only_uploads_that_nothing_was_added_to_for_long_are_discarded(tmp_path: Path) -> None:
    blobs = LocalFolder(tmp_path)
    await blobs.write("audio/ab/one", pieces(b"x"), 1)
    for name in ("audio/ab/.killed.part", "audio/ab/.writing.part", "elsewhere/.killed.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("audio/ab/one", "audio/ab/.killed.part", "elsewhere/.killed.part"):
        _aged(tmp_path / name, 100)
    await blobs.discard_unfinished("audio", 60)
    assert sorted(_names(tmp_path / "audio/ab")) == [".writing.part", "one"]
    assert _names(tmp_path / "elsewhere") == [".killed.part"]


async def test_the_folder_comes_from_a_file_url(tmp_path: Path) -> None:
    for url in (f"file:{tmp_path}", f"file://{tmp_path}"):
        await LocalFolder.from_url(url).write("one", pieces(b"x"), 1)
        assert (tmp_path / "one").read_bytes() == b"x"
    for url in ("s3://bucket", "file:", "var/blobs"):
        with pytest.raises(BadConfiguration, match="AMBIENT_BLOBS__URL"):
            LocalFolder.from_url(url)
