"""What the ambient API remembers, in PostgreSQL: JSON, sorting, cascades, and leases under contention."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.database.ambient_store import SqlAmbientStore
from adapters.database.database import Database
from adapters.database.signing_keys import SqlSigningKeys
from service.api.tokens import Tokens
from service.settings import read_settings
from tests.ambient_service import AmbientService, ambient_service, visit
from tests.old_database import identifiers, insert_as_v0_1_0, old_database


@pytest.fixture
async def postgresql(postgres_url: str) -> AsyncIterator[Database]:
    async with Database.connect(read_settings(database={"url": postgres_url}).database) as database:
        await database.migrate()
        yield database


@pytest.fixture
async def service(postgresql: Database, tmp_path: Path) -> AsyncIterator[AmbientService]:
    async with ambient_service(postgresql, tmp_path / "blobs", recognisers=0) as service:
        yield service


async def _queued(service: AmbientService, count: int) -> list[str]:
    interaction = await service.interaction()
    body = {"recordingId": await service.recording(interaction), "primaryLanguage": "en", "async": True}
    path = f"interactions/{interaction}/transcripts/"
    return [(await service.http.post(path, json=body)).json()["id"] for _ in range(count)]


async def test_the_whole_workflow_works(postgresql: Database, tmp_path: Path) -> None:
    async with ambient_service(postgresql, tmp_path / "blobs") as service:
        interaction = await service.interaction()
        body = {"recordingId": await service.recording(interaction), "primaryLanguage": "en"}
        made = (await service.http.post(f"interactions/{interaction}/transcripts/", json=body)).json()
        assert made["status"] == "completed"
        context = [{"type": "transcript", "data": segment} for segment in made["transcripts"]]
        asked = {"context": context, "templateKey": "corti-soap", "outputLanguage": "en"}
        document = (await service.http.post(f"interactions/{interaction}/documents/", json=asked)).json()
        assert document["sections"][0]["evidence"][0]["segments"] == ["s1"]
        listed = (await service.http.get("interactions/", params={"sort": "endedAt"})).json()["interactions"]
        assert [one["id"] for one in listed] == [interaction]
        assert (await service.http.delete(f"interactions/{interaction}")).status_code == 204
        assert (await service.http.get(f"interactions/{interaction}")).status_code == 404


async def test_claims_at_the_same_time_never_get_the_same_transcript(service: AmbientService) -> None:
    queued = await _queued(service, 5)
    claims = await asyncio.gather(*(service.store.claim_transcript(f"owner-{n}", 60.0) for n in range(12)))
    claimed = [claim.transcript.id for claim in claims if claim]
    assert len(claimed) == len(set(claimed))
    rest = [await service.store.claim_transcript("last", 60.0) for _ in range(6)]
    assert {*claimed, *(claim.transcript.id for claim in rest if claim)} == set(queued)


async def test_an_owner_whose_lease_ran_out_can_write_nothing_once_another_has_it(service: AmbientService) -> None:
    await _queued(service, 1)
    slow = await service.store.claim_transcript("slow", 0.0)
    quick = await service.store.claim_transcript("quick", 60.0)
    assert quick.transcript.id == slow.transcript.id
    assert not await service.store.complete_transcript(slow, [])
    assert not await service.store.keep_transcript(slow, 0.5, 60.0)
    assert await service.store.complete_transcript(quick, [])


async def test_pods_that_start_together_sign_with_one_key(postgresql: Database) -> None:
    pods = [Tokens(SqlSigningKeys(postgresql)) for _ in range(6)]
    tokens = await asyncio.gather(*(pod.issue("recorder", "base") for pod in pods))
    for token in tokens:
        assert (await pods[0].read(token)).client_id == "recorder"


async def test_what_belongs_to_a_deleted_interaction_cannot_be_added(service: AmbientService) -> None:
    interaction = await service.interaction()
    recording = await service.store.get_recording(interaction, await service.recording(interaction))
    assert await SqlAmbientStore.delete_interaction(service.store, "base", interaction) == [recording.id]
    assert not await service.store.add_recording(recording)


async def test_rows_of_v0_1_0_keep_their_identifiers_where_they_are_the_only_ones(postgres_url: str) -> None:
    async with Database.connect(read_settings(database={"url": postgres_url}).database) as database:
        await old_database(database)
        await database.migrate()
        await insert_as_v0_1_0(database, "late", "base", "visit-1", 12)
        assert await identifiers(database) == {
            "older": "visit-1", "younger": None, "elsewhere": "visit-1", "long": None, "late": None,
        }  # fmt: skip


async def test_an_identifier_is_taken_once_in_a_tenant(service: AmbientService) -> None:
    body = visit()
    answers = await asyncio.gather(*(service.http.post("interactions/", json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400, 400]


async def test_facts_are_kept_and_changed(service: AmbientService) -> None:
    facts = f"interactions/{await service.interaction()}/facts/"
    body = {"facts": [{"text": "Dry cough", "group": "other"}, {"text": "Afebrile", "group": "vital-signs"}]}
    first, second = (await service.http.post(facts, json=body)).json()["facts"]
    changes = {"facts": [{"factId": second["id"], "isDiscarded": True}, {"factId": first["id"], "text": "Cough"}]}
    assert (await service.http.patch(facts, json=changes)).status_code == 200
    listed = (await service.http.get(facts)).json()["facts"]
    assert [(fact["text"], fact["isDiscarded"]) for fact in listed] == [("Cough", False), ("Afebrile", True)]
