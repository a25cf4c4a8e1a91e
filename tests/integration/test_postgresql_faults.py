"""What PostgreSQL does to a visit in the middle of its work, and what writers do to each other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg

from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from service.events.delivery import Delivery
from service.events.event import Origin, from_resource
from tests.journey.hospital import open_hospital
from tests.nodes.postgresql import PostgresNode


async def test_connections_that_are_cut_in_the_middle_do_not_park_the_visit(
    tmp_path: Path, postgres_url: str, postgresql_node: PostgresNode
) -> None:
    async with open_hospital(tmp_path, database={"url": postgres_url}, worker={"poll": 0.25, "lease": 2.0}) as hospital:
        events = [await hospital.admit(), await hospital.record()]
        operator = await asyncpg.connect(postgresql_node.url(driver=""))
        await hospital.tell(*events)
        for _ in range(5):
            await operator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
                postgres_url.rsplit("/", 1)[1],
            )
            await asyncio.sleep(0.1)
        await operator.close()
        await _eventually_done(hospital)
        assert len(await hospital.notes()) == 1


async def _eventually_done(hospital: Any) -> None:
    for _ in range(3):
        try:
            await hospital.until("done", seconds=20)
        except Exception:
            await asyncio.sleep(0.5)
        else:
            return
    await hospital.until("done", seconds=20)


async def test_recordings_that_move_between_visits_under_many_writers_never_deadlock(database: Database) -> None:
    inbox = SqlInbox(database)

    def moved(media: int, version: int) -> Any:
        resource = {
            "resourceType": "Media", "id": f"m{media}", "status": "completed", "meta": {"versionId": str(version)},
            "encounter": {"reference": f"Encounter/e{(media + version) % 3}"},
        }  # fmt: skip
        return from_resource(resource, Origin("https://ehr.example/fhir", f"{media}-{version}"))

    async def feed(feeder: int) -> None:
        for version in range(1, 25):
            event = moved(feeder % 3, version * 6 + feeder)
            await inbox.store(Delivery(b"{}"), [event], "https://ehr.example/fhir")

    await asyncio.gather(*(feed(feeder) for feeder in range(6)))


async def test_another_ehr_may_have_an_encounter_of_the_same_id(database: Database) -> None:
    inbox = SqlInbox(database)
    for ehr in ("sandbox", "https://ehr.example/fhir", "http://ehr.example/fhir"):
        resource = {
            "resourceType": "Media",
            "id": "m1",
            "status": "completed",
            "encounter": {"reference": "Encounter/e1"},
        }
        stored = await inbox.store(Delivery(b"{}"), [from_resource(resource, Origin(ehr, ehr))], ehr)
        assert stored.stored == 1
        assert len(stored.woken) == 1
