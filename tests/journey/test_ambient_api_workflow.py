"""The documented workflow through the client that the integration uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.database.database import Database
from service.errors import NeedsPerson, Retryable
from service.workflow.ports import Transcript
from tests.ambient_service import AmbientService, ambient_service, pieces
from tests.engines import AUDIO

KNOWN = {"identifier": "visit-1", "patient": "patient-1"}
NOW = "2026-01-01T09:00:00Z"


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[AmbientService]:
    async with ambient_service(database, tmp_path / "blobs") as service:
        yield service


async def _interaction(service: AmbientService) -> str:
    return await service.client().create_interaction(**KNOWN, started_at=NOW, ended_at=NOW, kind="consultation")


async def _transcript(service: AmbientService, interaction: str) -> Transcript:
    client = service.client()
    recording = await client.upload_recording(interaction, pieces(AUDIO), "audio/ogg")
    transcript = await client.create_transcript(
        interaction, recording.id, language="en-US", multichannel=True, roles={0: "doctor", 1: "patient"}
    )
    for _ in range(500):
        found = await client.get_transcript(interaction, transcript.id)
        if found and found.status != "processing":
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("the transcript never ended")


async def test_a_recorded_consultation_becomes_a_document_whose_sentences_name_their_segments(
    service: AmbientService,
) -> None:
    client, interaction = service.client(), await _interaction(service)
    transcript = await _transcript(service, interaction)
    document = await client.create_document(
        interaction, template="corti-soap", name="note-1", language="en", segments=transcript.segments
    )

    assert transcript.status == "completed"
    assert transcript.roles == {0: "doctor", 1: "patient"}
    assert [section.key for section in document.sections] == [
        "corti-subjective", "corti-objective", "corti-assessment", "corti-plan",
    ]  # fmt: skip
    assert [section.text for section in document.sections] == [
        "I have had a cough for ten days.", "", "", "What brings you in today?\nI will start amoxicillin.",
    ]  # fmt: skip
    assert list(document.sections[0].evidence) == [
        {"text": "I have had a cough for ten days.", "segments": ["s1"], "start": 5300, "end": 11560}
    ]
    assert (document.template, document.language, document.name) == ("corti-soap", "en", "note-1")


async def test_the_transcriber_is_asked_for_the_language_without_its_region_and_told_who_speaks_where(
    service: AmbientService,
) -> None:
    await _transcript(service, await _interaction(service))
    request = service.transcriber.requests[0]
    assert (request.language, request.multichannel, request.roles) == ("en", True, {0: "doctor", 1: "patient"})


async def test_each_thing_that_was_made_is_found_again(service: AmbientService) -> None:
    client, interaction = service.client(), await _interaction(service)
    transcript = await _transcript(service, interaction)
    made = await client.create_document(
        interaction, template="soap", name="note-1", language="en", segments=transcript.segments
    )

    assert await client.find_interaction(**KNOWN) == interaction
    assert await client.list_recordings(interaction) == [transcript.recording_id]
    assert await client.find_transcript(interaction, transcript.recording_id) == transcript
    found = await client.find_document(interaction, "note-1")
    assert found
    assert (found.id, found.sections, found.template) == (made.id, made.sections, "corti-soap")


async def test_what_was_never_made_is_not_found(service: AmbientService) -> None:
    client, interaction = service.client(), await _interaction(service)
    assert await client.find_interaction(identifier="visit-2", patient="patient-1") is None
    assert await client.find_interaction(identifier="visit-1", patient="patient-2") is None
    assert await client.find_transcript(interaction, interaction) is None
    assert await client.get_transcript(interaction, interaction) is None
    assert await client.find_document(interaction, "note-1") is None


async def test_an_interaction_is_found_behind_a_full_page(service: AmbientService) -> None:
    for number in range(101):
        await service.client().create_interaction(
            identifier=f"other-{number}", patient="patient-1", started_at=None, ended_at=None, kind="emergency"
        )
    last = await _interaction(service)
    assert await service.client().find_interaction(**KNOWN) == last


async def test_a_second_interaction_of_one_visit_needs_a_person(service: AmbientService) -> None:
    await _interaction(service)
    with pytest.raises(NeedsPerson, match="engine_refused: status 400 A0017"):
        await _interaction(service)


async def test_a_deleted_recording_is_gone_and_deleting_it_again_is_fine(service: AmbientService) -> None:
    client, interaction = service.client(), await _interaction(service)
    recording = await client.upload_recording(interaction, pieces(AUDIO), None)
    assert (recording.channels, recording.duration_ms) == (2, 74_570)
    await client.delete_recording(interaction, recording.id)
    await client.delete_recording(interaction, recording.id)
    assert await client.list_recordings(interaction) == []
    assert service.blobs_kept() == []


async def test_a_recording_that_cannot_be_decoded_needs_a_person_and_is_not_kept(service: AmbientService) -> None:
    interaction = await _interaction(service)
    with pytest.raises(NeedsPerson) as refused:
        await service.client().upload_recording(interaction, pieces(b"not audio"), None)
    assert refused.value.reason == "recording_refused"
    assert service.blobs_kept() == []


async def test_what_goes_wrong_at_the_source_of_the_audio_is_what_the_caller_learns(service: AmbientService) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield AUDIO
        raise Retryable("ehr_unavailable")

    interaction = await _interaction(service)
    with pytest.raises(Retryable, match="ehr_unavailable"):
        await service.client().upload_recording(interaction, broken(), None)
    assert service.blobs_kept() == []


async def test_another_tenant_finds_nothing_and_may_touch_nothing(service: AmbientService) -> None:
    interaction, stranger = await _interaction(service), service.client("other")
    assert await stranger.find_interaction(**KNOWN) is None
    assert await stranger.get_transcript(interaction, interaction) is None
    assert await stranger.list_recordings(interaction) == []
    with pytest.raises(NeedsPerson, match="status 404 A0007"):
        await stranger.upload_recording(interaction, pieces(AUDIO), None)


async def test_a_failed_transcription_says_why(service: AmbientService) -> None:
    service.transcriber.failure = RuntimeError("the patient said something private")
    transcript = await _transcript(service, await _interaction(service))
    assert (transcript.status, transcript.reason) == ("failed", "internal_error")
