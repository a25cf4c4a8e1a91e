"""The HTTP surface of a whole house: the inlet, the probes, and who may use which."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import SecretStr

from service.api.events import events_router
from service.api.terms import Terms
from service.workflow.ports import PublishFailed
from tests.journey.hospital import Hospital, Json, open_hospital

CLIENTS = {
    "recorder": "s1",
    "operator": {"secret": "s2", "scopes": ["operations"]},
    "ehr": {"secret": "s3", "scopes": ["events"]},
}
OPEN = {"/livez", "/readyz", "/metrics", "/realms/{tenant}/protocol/openid-connect/token", "/.well-known/jwks.json"}
KEY = "sesame"
MEDIA = {"resourceType": "Media", "id": "m9", "status": "in-progress", "encounter": {"reference": "Encounter/e9"}}
PATIENT = {"resourceType": "Patient", "id": "p1"}


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        open_hospital(tmp_path, api={"clients": CLIENTS, "events_secret": KEY}) as hospital,
        hospital.http() as http,
    ):
        yield http


def signed(body: bytes, key: str = KEY) -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


async def token(http: httpx.AsyncClient, client: str) -> dict[str, str]:
    secret = {"recorder": "s1", "operator": "s2", "ehr": "s3"}[client]
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    answer = await http.post("/realms/base/protocol/openid-connect/token", data=form)
    return {"Authorization": f"Bearer {answer.json()['access_token']}", "Tenant-Name": "base"}


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        (MEDIA, 202, {"taken": 1}),
        (PATIENT, 202, {"taken": 0, "ignored": "type_not_read"}),
        ({**MEDIA, "id": "a/b"}, 400, None),
        ([MEDIA], 400, None),
        ({**MEDIA, "encounter": {"reference": "https://evil.test/Encounter/e1"}}, 400, None),
        ({**MEDIA, "note": [{"text": "x" * 2_000_000}]}, 413, None),
    ],
)  # fmt: skip
async def test_what_the_inlet_answers(http: httpx.AsyncClient, body: Any, status: int, answer: Json | None) -> None:
    taken = await http.post("/events", json=body)
    assert taken.status_code == status
    if answer:
        assert taken.json() == answer


NO_JSON = [b"", b"hello", b"\xff\xfe", b'{"a":NaN}', b"[" * 5000]


async def test_what_is_no_json_is_a_bad_request(http: httpx.AsyncClient) -> None:
    for body in NO_JSON:
        assert (await http.post("/events", content=body)).status_code == 400, body[:9]


async def test_an_event_over_http_reaches_its_visit(hospital: Hospital, http: httpx.AsyncClient) -> None:
    headers = {"CE-SpecVersion": "1.0", "ce-id": "c1", "ce-source": "urn:recorder", "ce-type": "updated"}
    assert (await http.post("/events", json=MEDIA, headers=headers)).status_code == 202
    visit = await hospital.until("waiting", "Encounter/e9", reason="not_in_ehr")
    assert [(e["source"], e["id"]) for e in visit["events"]] == [("urn:recorder", "c1")]


async def test_long_names_of_events_fit_through_the_broker() -> None:
    sent: list[Json] = []

    class Watched:
        async def publish(self, body: bytes, **more: Any) -> None:
            sent.append(more)

    async def everybody(_: Any) -> None: ...

    app = FastAPI()
    app.include_router(events_router(Watched(), Terms("https://ehr.test", 10**6), None, everybody))  # type: ignore[arg-type]
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "c" * 400,
        "ce-source": "urn:s",
        f"ce-{'x' * 300}": "1",
        "Content-Type": "a/" + "b" * 400,
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x") as direct:
        assert (await direct.post("/events", content=json.dumps(MEDIA), headers=headers)).status_code == 202
    assert len(sent[0]["message_id"].encode()) <= 255
    assert len(sent[0]["content_type"].encode()) <= 255
    assert all(len(name) <= 255 for name in sent[0]["headers"])


async def test_a_broker_that_does_not_confirm_is_said_so(
    hospital: Hospital, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise PublishFailed("x")

    monkeypatch.setattr(hospital.house.broker, "publish", fail)
    answer = await http.post("/events", json=MEDIA)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


SIGNATURES = [
    ("right", 202),
    ("sha256=right", 202),
    ("RIGHT", 202),
    ("wrong", 401),
    ("", 401),
    ("caf\u00e9".encode(), 401),
    (None, 401),
]


async def test_a_signature_lets_a_sender_in_that_has_no_token(guarded: httpx.AsyncClient) -> None:
    for given, status in SIGNATURES:
        body = json.dumps(MEDIA).encode()
        signature = {
            "right": signed(body),
            "sha256=right": f"sha256={signed(body)}",
            "RIGHT": signed(body).upper(),
        }.get(given, given)  # type: ignore[arg-type]
        headers = {"X-Signature": signature} if signature is not None else {}
        assert (await guarded.post("/events", content=body, headers=headers)).status_code == status, given


async def test_a_signature_counts_for_its_own_body_alone(guarded: httpx.AsyncClient) -> None:
    answer = await guarded.post("/events", content=b"{}", headers={"X-Signature": signed(json.dumps(MEDIA).encode())})
    assert answer.status_code == 401


async def test_an_empty_key_signs_nothing() -> None:
    async def nobody(_: Any) -> None:
        raise HTTPException(401)

    app = FastAPI()
    app.include_router(events_router(None, Terms("https://ehr.test", 10**6), SecretStr(""), nobody))  # type: ignore[arg-type]
    body = json.dumps(MEDIA).encode()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x") as direct:
        answer = await direct.post("/events", content=body, headers={"X-Signature": signed(body, "")})
    assert answer.status_code == 401


SCOPES = [
    ("ehr", "POST", "/events", 202),
    ("operator", "POST", "/events", 403),
    ("recorder", "POST", "/events", 403),
    ("operator", "GET", "/visits", 200),
    ("recorder", "GET", "/visits", 403),
    ("ehr", "GET", "/visits", 403),
    ("operator", "GET", "/dead-letters", 200),
    ("recorder", "GET", "/dead-letters", 403),
    ("recorder", "GET", "/v2/interactions/", 200),
    ("operator", "GET", "/v2/interactions/", 403),
]


async def test_each_client_has_its_scope_and_no_other(guarded: httpx.AsyncClient) -> None:
    for client, method, path, status in SCOPES:
        answer = await guarded.request(
            method, path, headers=await token(guarded, client), json=MEDIA if method == "POST" else None
        )
        assert answer.status_code == status, (client, path)


async def test_every_route_but_probes_tokens_and_public_keys_needs_a_token(guarded: httpx.AsyncClient) -> None:
    described = (await guarded.get("/openapi.json")).json()["paths"]
    asked = 0
    for path, methods in described.items():
        for method in methods:
            real = path.replace("{", "").replace("}", "")
            status = (await guarded.request(method, real)).status_code
            if path in OPEN:
                assert status != 401, path
            else:
                asked += 1
                assert status == 401, f"{method} {path} answers {status}"
    assert asked > 20
    assert set(described) >= OPEN


SANDBOX_PATHS = ["Patient", "Patient/p1", "metadata"]


async def test_the_mounted_sandbox_is_not_open_either(guarded: httpx.AsyncClient) -> None:
    for path in SANDBOX_PATHS:
        status = (await guarded.get(f"/sandbox/fhir/R4/{path}")).status_code
        assert status in ((200, 401) if path == "metadata" else (401,)), path


async def test_the_probes_of_a_house_at_work(hospital: Hospital, http: httpx.AsyncClient) -> None:
    assert (await http.get("/livez")).json() == {"event_loop": "ok", "consumer": "ok"}
    async with asyncio.timeout(10):
        while (await http.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - until the first canary came back
            await asyncio.sleep(0.02)
    ready = {"database": "ok", "consumer": "ok", "canary": "ok", "process": "ok"}
    assert (await http.get("/readyz")).json() == ready
    assert 'ambient_workflows{state="parked"} 0.0' in (await http.get("/metrics")).text
    hospital.house.health.draining = True
    assert (await http.get("/readyz")).status_code == 503
    assert (await http.get("/livez")).status_code == 200


async def test_metrics_are_served_while_the_database_is_down() -> None:
    from service.api.health import Health, health_router

    class Down:
        async def count_by_state(self) -> dict[str, int]:
            raise ConnectionRefusedError

    async def refused() -> None:
        raise ConnectionRefusedError("10.0.0.1")

    app = FastAPI()
    app.include_router(health_router(Health(needed={"database": refused}), Down()))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x") as direct:
        metrics = await direct.get("/metrics")
        assert (metrics.status_code, 'ambient_workflows{state="parked"} NaN' in metrics.text) == (200, True)
        ready = await direct.get("/readyz")
        assert (ready.status_code, ready.json()["database"]) == (503, "ConnectionRefusedError")
