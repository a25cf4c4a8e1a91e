"""The main job as it is deployed: RabbitMQ, PostgreSQL, api and worker in processes of their own, real speech."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from adapters.rabbitmq.broker import RabbitBroker
from service.demo.resources import DemoVisit, demo_visit
from service.settings import read_settings
from tests.conftest import DEMO
from tests.integration.processes import ServiceProcess, run, start
from tests.journey.hospital import Hospital, open_hospital
from tests.nodes.loopback import free_port

RECORDING = DEMO / "consult_two_channel.ogg"


async def load(ehr: httpx.AsyncClient, demo: DemoVisit) -> list[dict[str, Any]]:
    """Everything into the sandbox EHR; returns what is announced, as the EHR holds it."""
    for resource in demo.loaded:
        answer = await ehr.put(
            f"{resource['resourceType']}/{resource['id']}",
            json=resource,
            headers={"Content-Type": "application/fhir+json"},
        )
        assert answer.is_success, answer.text
    return [(await ehr.get(f"{r['resourceType']}/{r['id']}")).json() for r in demo.announced]


async def publish(url: str, resources: list[dict[str, Any]]) -> None:
    async with RabbitBroker.connect(read_settings(broker={"url": url}).broker) as broker:
        for resource in resources:
            kind = resource["resourceType"]
            await broker.publish(
                json.dumps(resource).encode(), routing_key=f"fhir.{kind}.create", content_type="application/fhir+json",
                message_id=f"{kind}/{resource['id']}", headers={},
            )  # fmt: skip


async def shown(
    api: httpx.AsyncClient, key: str, until: Callable[[dict[str, Any]], bool], seconds: float = 120
) -> dict[str, Any]:
    visit: dict[str, Any] = {}
    for _ in range(int(seconds / 0.2)):
        answer = await api.get(f"/visits/{key}")
        visit = answer.json() if answer.is_success else {}
        if visit and until(visit):
            return visit
        await asyncio.sleep(0.2)
    raise AssertionError(f"{key} did not get there: {visit}")


def has_step(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda visit: any(step["name"].startswith(kind) for step in visit["steps"])


async def test_a_worker_killed_in_the_middle_of_a_visit_leaves_exactly_one_note(
    tmp_path: Path, rabbitmq: str, postgres_url: str
) -> None:
    port, api_ops = free_port(), free_port()
    shared = {
        "BROKER__URL": rabbitmq, "DATABASE__URL": postgres_url, "BLOBS__URL": f"file:{tmp_path}/blobs",
        "HTTP__PORT": port, "WORKER__LEASE": "3s", "LOG__LEVEL": "info", "LOG__FORMAT": "json",
    }  # fmt: skip
    migrated = run("migrate", **shared)
    assert migrated.returncode == 0, migrated.stderr

    def worker() -> ServiceProcess:
        ops = free_port()
        return start(tmp_path, "worker", ops, OPS__PORT=ops, **shared)

    with start(tmp_path, "api", api_ops, OPS__PORT=api_ops, **shared) as api_process, worker() as first:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as api:
            ehr = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/sandbox/fhir/R4/", timeout=30)
            demo = demo_visit([RECORDING])
            async with ehr:
                events = await load(ehr, demo)
                await publish(rabbitmq, events)
                key = f"Encounter/{demo.encounter_id}"
                await shown(api, key, has_step("transcript:"))
                first.kill()
                with worker() as second:
                    await publish(rabbitmq, events)
                    visit = await shown(api, key, lambda v: v["state"] == "done" and v["nextAt"] is None)
                    notes = (await ehr.get("DocumentReference", params={"encounter": key})).json()
                    assert notes["total"] == 1
                    assert notes["entry"][0]["resource"]["status"] == "current"
                    assert visit["attempts"] == 0
                    assert second.stop() == 0
        assert api_process.stop() == 0


async def test_a_remote_engine_behind_client_credentials_gives_the_same_note(
    tmp_path: Path, rabbitmq: str, postgres_url: str
) -> None:
    """The engine is a second process of this very service, on another port, with authentication."""
    port, folder = free_port(), tmp_path / "engine"
    folder.mkdir()
    clients = json.dumps({"hospital": {"secret": "correct horse", "tenant": "north"}})
    engine = {
        "HTTP__PORT": port,
        "API__CLIENTS": clients,
        "DATABASE__URL": f"sqlite+aiosqlite:///{folder}/engine.db",
        "BLOBS__URL": f"file:{folder}/blobs",
    }
    parts = {
        "database": {"url": postgres_url},
        "broker": {"url": rabbitmq},
        "engine": {
            "url": f"http://127.0.0.1:{port}/v2",
            "tenant": "north",
            "client_id": "hospital",
            "client_secret": "correct horse",
        },
    }
    with start(folder, "serve", port, **engine):
        async with open_hospital(tmp_path, **parts) as hospital:
            await _the_recorded_visit(hospital)
            visit = await hospital.until("done", seconds=120)
            (note,) = await hospital.notes()
            document = next(s["result"] for s in visit["steps"] if s["name"].startswith("document:"))
    assert note["status"] == "current"
    assert note["subject"] == {"reference": "Patient/p1"}
    assert any(document["evidence"].values())


async def _the_recorded_visit(hospital: Hospital) -> None:
    import base64

    audio = base64.b64encode(RECORDING.read_bytes()).decode()
    encounter, media = await hospital.admit(), await hospital.record()
    await hospital.put({"resourceType": "Binary", "id": "b-m1", "contentType": "audio/ogg", "data": audio})
    await hospital.tell(encounter, media)
