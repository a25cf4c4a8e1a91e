"""Recordings: what is refused, how early, and what is left of audio that nobody knows of."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from adapters.database.ambient_tables import uploads
from adapters.database.database import Database
from adapters.database.schema import clock
from service.ambient.app import create_ambient_app
from service.ambient.ports import audio_key
from service.ambient.store import StoredRecording
from service.ambient.sweeping import OLD, sweep, sweeping
from service.api.serving import listening
from tests.ambient_service import AmbientService, ambient_service, logged, pieces
from tests.engines import AUDIO

MEGABYTE = bytes(1024**2)
CONTAINERS = {
    "wav": b"RIFF\xff\xff\xff\xffWAVEfmt ",
    "large wav": b"RF64\xff\xff\xff\xffWAVEds64",
    "ogg": b"OggS\x00\x02",
    "flac": b"fLaC\x00\x00",
    "webm": b"\x1aE\xdf\xa3\x9f\x42",
    "mp4": b"\x00\x00\x00\x1cftypM4A ",
    "quicktime": b"\x00\x00\x00\x08wide\x00\x00",
    "tagged mp3": b"ID3\x04\x00",
    "mp3": b"\xff\xfb\x90\x64",
    "mp3 of a low rate": b"\xff\xf3\x40\xc4",
    "aac": b"\xff\xf1\x50\x80",
    "amr": b"#!AMR-WB\n",
    "aiff": b"FORM\x00\x00\x00\x40AIFFCOMM",
    "caf": b"caff\x00\x01\x00\x00",
}
OTHERS = {
    "zip": b"PK\x03\x04\x14\x00",
    "text": b"Dear colleague, thank you",
    "web page": b"<!doctype html><html>",
    "json": b'{"audio": "..."}',
    "playlist": b"#EXTM3U\n#EXTINF:10,\n",
    "headerless": bytes(64),
    "another riff": b"RIFF\xff\xff\xff\xffAVI LIST",
    "picture": b"\x89PNG\r\n\x1a\n",
    "utf-16": b"\xff\xfeD\x00e\x00",
}


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[AmbientService]:
    async with ambient_service(database, tmp_path / "blobs", recognisers=0) as service:
        yield service


class Upload:
    """A body of 20 MB that counts how much of it was asked for."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.megabytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.head
        for _ in range(20):
            self.megabytes += 1
            yield MEGABYTE


def wav(rate: int, channels: int = 1, announced: int = 0) -> bytes:
    """The head of a 16-bit WAV."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return b"RIFF" + struct.pack("<I", announced) + b"WAVE" + fmt + b"data" + struct.pack("<I", announced)


async def upload(service: AmbientService, content: Any) -> httpx.Response:
    return await service.http.post(f"interactions/{await service.interaction()}/recordings/", content=content)


@pytest.mark.parametrize("name", OTHERS)
async def test_what_begins_like_no_recording_is_refused_after_its_first_bytes(
    service: AmbientService, name: str
) -> None:
    body = Upload(OTHERS[name] + bytes(64))
    answer = await upload(service, body)
    assert (answer.status_code, answer.json()["type"]) == (400, "A0003")
    assert body.megabytes <= 1
    assert service.blobs_kept() == []


@pytest.mark.parametrize("name", CONTAINERS)
async def test_what_begins_like_a_recording_is_heard_out_and_then_probed(service: AmbientService, name: str) -> None:
    body = Upload(CONTAINERS[name] + bytes(64))
    answer = await upload(service, body)
    assert (answer.status_code, body.megabytes) == (400, 20), "the scripted engine can hear none of them"
    assert service.blobs_kept() == []


async def test_first_bytes_that_come_one_by_one_are_put_together(service: AmbientService) -> None:
    assert (await upload(service, pieces(AUDIO[:100], 1))).status_code == 201


async def test_a_wav_that_is_longer_than_allowed_is_refused_before_it_is_whole(
    database: Database, tmp_path: Path
) -> None:
    """Ten minutes are 3.2 MB at 8 kHz in two channels, whatever the header announces."""
    async with ambient_service(database, tmp_path / "blobs", audio_longest=100.0) as service:
        body = Upload(wav(8000, 2, announced=1000))
        answer = await upload(service, body)
        assert (answer.status_code, answer.json()["type"]) == (400, "A0016")
        assert answer.json()["detail"] == "the recording is longer than 100 seconds"
        assert body.megabytes == 5
        assert service.blobs_kept() == []


async def test_a_recording_that_is_measured_longer_than_allowed_is_refused(database: Database, tmp_path: Path) -> None:
    async with ambient_service(database, tmp_path / "blobs", audio_longest=74.0) as service:
        answer = await upload(service, AUDIO)
        assert (answer.status_code, answer.json()["type"]) == (400, "A0016")
        assert service.blobs_kept() == []


async def test_a_caller_that_vanishes_half_way_leaves_nothing(service: AmbientService) -> None:
    path = f"interactions/{await service.interaction()}/recordings/"
    async with listening(create_ambient_app(service.rooms), "127.0.0.1", 0) as port:
        _, caller = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /v2/{path} HTTP/1.1\r\nHost: here\r\nContent-Length: {2 * len(AUDIO)}\r\n\r\n"
        caller.write(head.encode() + AUDIO)
        await until(service.blobs_kept)
        caller.close()
        await until(lambda: not service.blobs_kept())
    assert (await service.http.get(path)).json() == {"recordings": []}


async def until(true: Callable[[], Any]) -> None:
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


async def left_behind(service: AmbientService, database: Database, seconds: float) -> str:
    """The audio of an upload that was begun so long ago, by a process that was killed before it became a recording."""
    recording = str(uuid4())
    await service.store.begin_upload(recording)
    async with database.transaction() as connection:
        row = uploads.c.recording_id == recording
        await connection.execute(update(uploads).where(row).values(begun_at=clock(-seconds)))
    await service.rooms.blobs.write(audio_key(recording), pieces(AUDIO), len(AUDIO))
    return recording


def row_of(recording: str, interaction: str) -> StoredRecording:
    return StoredRecording(recording, interaction, None, len(AUDIO), "0" * 64, 1, 1000, datetime.now(UTC))


async def test_audio_of_old_uploads_that_did_not_end_is_swept_and_nothing_else(
    service: AmbientService, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    known = await service.recording(await service.interaction())
    fresh = await left_behind(service, database, OLD - 60)
    await left_behind(service, database, OLD + 60)
    await left_behind(service, database, 3 * OLD)
    assert await sweep(service.store, service.rooms.blobs, OLD) == 2
    assert {path.name for path in service.blobs_kept()} == {known, fresh}
    assert [log["count"] for log in logged(caplog) if log["event"] == "orphans_swept"] == [2]
    assert await sweep(service.store, service.rooms.blobs, OLD) == 0


async def test_audio_that_this_database_knows_nothing_of_is_left_alone(service: AmbientService) -> None:
    """Another deployment's in a shared folder, or what came after the backup that was restored."""
    await service.rooms.blobs.write(audio_key(str(uuid4())), pieces(AUDIO), len(AUDIO))
    assert await sweep(service.store, service.rooms.blobs, -60) == 0
    assert len(service.blobs_kept()) == 1


async def test_refused_and_finished_uploads_leave_nothing_to_sweep(service: AmbientService) -> None:
    path = f"interactions/{await service.interaction()}/recordings/"
    for content in (AUDIO, b"not audio", b""):
        await service.http.post(path, content=content)
    assert await sweep(service.store, service.rooms.blobs, -60) == 0
    assert len(service.blobs_kept()) == 1


async def test_an_upload_that_was_given_up_does_not_become_a_recording(
    service: AmbientService, database: Database
) -> None:
    interaction, recording = await service.interaction(), await left_behind(service, database, 2 * OLD)
    assert await service.store.abandoned_uploads(OLD) == [recording]
    assert not await service.store.add_recording(row_of(recording, interaction))
    assert await service.store.list_recordings(interaction) == []


async def test_an_upload_that_became_a_recording_is_not_given_up(service: AmbientService, database: Database) -> None:
    interaction, recording = await service.interaction(), await left_behind(service, database, 2 * OLD)
    assert await service.store.add_recording(row_of(recording, interaction))
    assert await service.store.abandoned_uploads(OLD) == []


async def test_several_processes_may_sweep_at_once(service: AmbientService, database: Database) -> None:
    known = await service.recording(await service.interaction())
    for _ in range(5):
        await left_behind(service, database, 2 * OLD)
    await asyncio.gather(*(sweep(service.store, service.rooms.blobs, OLD) for _ in range(4)))
    assert [path.name for path in service.blobs_kept()] == [known]


async def test_sweeping_goes_on_after_a_failure_and_ends_with_its_process(
    service: AmbientService, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    recording = await left_behind(service, database, 2 * OLD)
    file = service.folder / audio_key(recording)
    async with sweeping(_Failing(service.store), service.rooms.blobs, 0.0, 0.01):
        await until(lambda: not file.exists())
    assert service.blobs_kept() == []
    assert "orphans_not_swept" in [log["event"] for log in logged(caplog)]


class _Failing:
    """A store whose database is away when it is first asked."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._asked = 0

    async def abandoned_uploads(self, older_than: float) -> list[str]:
        self._asked += 1
        if self._asked == 1:
            raise ConnectionError
        abandoned: list[str] = await self._store.abandoned_uploads(older_than)
        return abandoned

    async def end_upload(self, recording: str) -> None:
        await self._store.end_upload(recording)
