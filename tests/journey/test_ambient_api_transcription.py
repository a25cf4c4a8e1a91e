"""Transcription survives what happens to processes: restarts, crashes, lost leases, deletions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from adapters.blobs.local_folder import LocalFolder
from adapters.database.ambient_store import SqlAmbientStore
from adapters.database.database import Database
from service.ambient.ports import audio_key
from service.ambient.store import Interaction, StoredTranscript
from service.ambient.transcription import MAX_ATTEMPTS, Recognisers
from service.errors import BadAudio
from tests.ambient_service import ambient_service, pieces
from tests.engines import AUDIO, CONSULTATION, ScriptedTranscriber


async def until(true: Callable[[], Any]) -> None:
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


class Ward:
    """A store with one queued transcript whose audio is there."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.store = SqlAmbientStore(database)
        self.blobs = LocalFolder(folder / "blobs")
        self.transcriber = ScriptedTranscriber()
        self.interaction = str(uuid4())
        self.transcript = str(uuid4())

    async def prepare(self) -> None:
        now, recording = datetime.now(UTC), str(uuid4())
        encounter = {"identifier": "visit-1", "status": "completed", "type": "consultation"}
        await self.store.add_interaction(
            Interaction(self.interaction, "base", str(uuid4()), encounter, {}, None, now, now)
        )
        await self.blobs.write(audio_key(recording), pieces(AUDIO), len(AUDIO))
        await self.store.add_transcript(
            StoredTranscript(self.transcript, self.interaction, recording, "en", False, None, now)
        )

    def recognisers(self, lease_seconds: float = 60.0) -> Any:
        return Recognisers.running(self.store, self.blobs, self.transcriber, 1, lease_seconds)

    async def now(self) -> StoredTranscript:
        found = await self.store.get_transcript(self.interaction, self.transcript)
        assert found
        return found

    async def ended(self) -> StoredTranscript:
        for _ in range(500):
            found = await self.now()
            if found.status in ("completed", "failed"):
                return found
            await asyncio.sleep(0.01)
        raise AssertionError("the transcript never ended")


async def ward(database: Database, folder: Path) -> Ward:
    ward = Ward(database, folder)
    await ward.prepare()
    return ward


async def test_a_transcript_left_behind_by_a_killed_process_is_resumed(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    killed = await here.store.claim_transcript("killed", -1.0)
    assert killed
    async with here.recognisers():
        ended = await here.ended()
    assert (ended.status, ended.segments) == ("completed", CONSULTATION)
    assert not await here.store.fail_transcript(killed, "internal_error"), "the fence holds"
    assert (await here.now()).status == "completed"


async def test_a_leased_transcript_is_left_alone(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    assert await here.store.claim_transcript("another", 60.0)
    assert await here.store.claim_transcript("me", 60.0) is None


async def test_what_is_released_at_a_start_is_taken_up_at_once_and_fenced(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    killed = await here.store.claim_transcript("killed", 60.0)
    assert killed
    await here.store.release_all_transcripts()
    assert not await here.store.keep_transcript(killed, 0.9, 60.0)
    again = await here.store.claim_transcript("restarted", 60.0)
    assert again
    assert (again.transcript.id, again.attempt) == (here.transcript, 2)


async def test_a_start_leaves_ended_transcripts_as_they_are(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    async with here.recognisers():
        await here.ended()
    await here.store.release_all_transcripts()
    assert (await here.now()).status == "completed"


async def test_two_recognisers_never_claim_the_same_transcript(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    claims = await asyncio.gather(*(here.store.claim_transcript(f"owner-{n}", 60.0) for n in range(8)))
    assert len([claim for claim in claims if claim]) == 1


async def test_a_shutdown_gives_unfinished_work_back_at_once(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    here.transcriber.go.clear()
    async with here.recognisers():
        await until(here.transcriber.begun.is_set)
    assert here.transcriber.cancelled
    assert (await here.now()).status == "queued"
    here.transcriber.go.set()
    async with here.recognisers():
        assert (await here.ended()).status == "completed"


async def test_progress_is_kept_while_the_lease_is_renewed(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    here.transcriber.go.clear()
    async with here.recognisers(lease_seconds=0.3):
        await until(here.transcriber.begun.is_set)
        await asyncio.sleep(0.7)
        assert await here.store.claim_transcript("thief", 60.0) is None
        assert (await here.now()).progress == 0.5
        here.transcriber.go.set()
        assert (await here.ended()).progress == 1.0


async def test_work_whose_transcript_was_deleted_is_dropped(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    here.transcriber.go.clear()
    async with here.recognisers(lease_seconds=0.3):
        await until(here.transcriber.begun.is_set)
        await here.store.delete_transcript(here.interaction, here.transcript)
        await until(lambda: here.transcriber.cancelled)


async def test_audio_without_speech_fails_with_its_reason(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    here.transcriber.failure = BadAudio("no_speech")
    async with here.recognisers():
        ended = await here.ended()
    assert (ended.status, ended.reason) == ("failed", "no_speech")


async def test_a_transcript_whose_recording_was_deleted_fails(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    await here.blobs.delete(audio_key((await here.now()).recording_id))
    async with here.recognisers():
        ended = await here.ended()
    assert (ended.status, ended.reason) == ("failed", "recording_deleted")


async def test_a_transcript_that_keeps_killing_its_process_is_given_up(database: Database, tmp_path: Path) -> None:
    here = await ward(database, tmp_path)
    for _ in range(MAX_ATTEMPTS):
        assert await here.store.claim_transcript("killed", -1.0)
    async with here.recognisers():
        ended = await here.ended()
    assert (ended.status, ended.reason) == ("failed", "internal_error")
    assert here.transcriber.requests == []


async def test_creation_waits_for_the_result(database: Database, tmp_path: Path) -> None:
    async with ambient_service(database, tmp_path / "blobs") as service:
        interaction = await service.interaction()
        body = {"recordingId": await service.recording(interaction), "primaryLanguage": "en"}
        response = await service.http.post(f"interactions/{interaction}/transcripts/", json=body)
    assert response.status_code == 201
    assert "location" not in response.headers
    assert response.json()["status"] == "completed"
    assert [segment["id"] for segment in response.json()["transcripts"]] == ["s0", "s1", "s2"]


async def test_creation_that_takes_too_long_answers_processing_and_where_to_look(
    database: Database, tmp_path: Path
) -> None:
    async with ambient_service(database, tmp_path / "blobs", sync_seconds=0.05) as service:
        service.transcriber.go.clear()
        interaction = await service.interaction()
        body = {"recordingId": await service.recording(interaction), "primaryLanguage": "en"}
        response = await service.http.post(f"interactions/{interaction}/transcripts/", json=body)
        status = await service.http.get(response.headers["Location"].removeprefix("/v2") + "/status")
        service.transcriber.go.set()
    assert (response.status_code, response.json()["status"], response.json()["transcripts"]) == (201, "processing", [])
    assert response.headers["Location"] == f"/v2/interactions/{interaction}/transcripts/{response.json()['id']}"
    assert status.json()["status"] == "processing"


async def test_an_asynchronous_creation_answers_202_with_the_whole_body(database: Database, tmp_path: Path) -> None:
    async with ambient_service(database, tmp_path / "blobs", recognisers=0) as service:
        interaction = await service.interaction()
        body = {"recordingId": await service.recording(interaction), "primaryLanguage": "en", "async": True}
        response = await service.http.post(f"interactions/{interaction}/transcripts", json=body)
    assert response.status_code == 202
    assert response.headers["Location"] == f"/v2/interactions/{interaction}/transcripts/{response.json()['id']}"
    assert {"id", "metadata", "transcripts", "usageInfo", "recordingId", "status"} <= set(response.json())
