"""Who may call: the bearer check in front of the ambient API, and the integration as one of its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from adapters.ambient.client import AmbientClient
from adapters.ambient.in_process import InProcess
from adapters.database.database import Database
from adapters.oauth.client_credentials import ClientCredentials
from service.api.tokens import LIFETIME
from service.errors import NeedsPerson, Retryable
from tests.ambient_service import VISIT, pieces
from tests.engines import AUDIO
from tests.journey.guarded_house import CLIENTS, TOKEN, House, assert_unauthorized, house


@pytest.fixture
async def guarded(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with house(database, tmp_path, CLIENTS) as guarded:
        yield guarded


async def test_a_token_opens_the_ambient_api_for_its_own_tenant(guarded: House) -> None:
    answered = await guarded.ask(client_id="recorder", client_secret="s3cret", scope="openid")
    body = answered.json()
    assert (answered.status_code, answered.headers["Cache-Control"]) == (200, "no-store")
    assert (body["expires_in"], body["token_type"]) == (LIFETIME, "Bearer")
    assert (await guarded.get(body["access_token"])).status_code == 200


@pytest.mark.parametrize("token", [None, "", "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
async def test_a_missing_or_bad_token_is_unauthorized(guarded: House, token: str | None) -> None:
    assert_unauthorized(await guarded.get(token))


async def test_a_body_is_not_read_before_the_token(guarded: House) -> None:
    assert_unauthorized(await guarded.http.post("v2/interactions/", content=b"{"))


async def test_a_token_that_was_changed_is_unauthorized(guarded: House) -> None:
    header, claims, signature = (await guarded.token()).split(".")
    other = (await guarded.token("clinic", "other", "clinic")).split(".")[1]
    assert_unauthorized(await guarded.get(f"{header}.{other}.{signature}"))
    assert_unauthorized(await guarded.get(f"{header}.{claims}."))


async def test_an_expired_token_is_unauthorized(guarded: House) -> None:
    token = await guarded.token()
    guarded.clock.time += LIFETIME - 1
    assert (await guarded.get(token)).status_code == 200
    guarded.clock.time += 2
    assert_unauthorized(await guarded.get(token))


@pytest.mark.parametrize("tenant", [None, "clinic"])
async def test_a_missing_or_foreign_tenant_is_forbidden(guarded: House, tenant: str | None) -> None:
    response = await guarded.get(await guarded.token(), tenant)
    assert (response.status_code, response.json()["type"]) == (403, "A0001")
    assert response.json()["requestid"] == response.headers["X-Request-Id"]


async def test_a_client_may_do_only_what_its_scopes_say(guarded: House) -> None:
    recorder, operator = await guarded.token(), await guarded.token("operator", "ops")
    assert (await guarded.get(recorder, path="visits")).status_code == 403
    assert (await guarded.get(operator)).status_code == 403
    assert (await guarded.get(operator, None, "visits")).json() == {"client": "operator", "tenant": "base"}


async def test_one_tenant_does_not_see_what_another_made(guarded: House) -> None:
    headers = {"Authorization": f"Bearer {await guarded.token()}", "Tenant-Name": "base"}
    made = (await guarded.http.post("v2/interactions/", json=VISIT, headers=headers)).json()["id"]
    clinic = await guarded.token("clinic", "other", "clinic")
    assert (await guarded.get(clinic, "clinic", f"v2/interactions/{made}")).status_code == 404


async def test_without_clients_the_api_is_open_and_assumes_the_base_tenant(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path, {}) as opened:
        assert (await opened.get(None, None)).status_code == 200
        made = (await opened.http.post("v2/interactions/", json=VISIT)).json()["id"]
        assert (await opened.get("anything", "base", f"v2/interactions/{made}")).status_code == 200
        assert (await opened.get(None, "clinic", f"v2/interactions/{made}")).status_code == 404
        assert (await opened.ask(client_id="any", client_secret="any")).status_code == 200


async def test_the_integration_can_use_a_guarded_engine_with_client_credentials(guarded: House) -> None:
    auth = ClientCredentials(
        "http://house.test/" + TOKEN.format("base"), "recorder", "s3cret", scope="openid", whose="engine"
    )
    transport = InProcess(guarded.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://house.test/v2", auth=auth) as http:
        client = AmbientClient(http, tenant="base")
        assert await client.find_interaction(identifier="visit-1", patient="p1") is None
        guarded.clock.time += LIFETIME + 1
        assert await client.find_interaction(identifier="visit-1", patient="p1") is None


async def test_an_upload_whose_token_is_refused_is_retryable_with_a_new_token(guarded: House) -> None:
    auth = ClientCredentials(
        "http://house.test/" + TOKEN.format("base"), "recorder", "s3cret", scope="openid", whose="engine"
    )
    transport = InProcess(guarded.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://house.test/v2", auth=auth) as http:
        client = AmbientClient(http, tenant="base")
        interaction = await client.create_interaction(
            identifier="visit-1", patient="p1", started_at=None, ended_at=None, kind="consultation"
        )
        guarded.clock.time += LIFETIME + 1
        with pytest.raises(Retryable, match="engine_unauthorised"):
            await client.upload_recording(interaction, pieces(AUDIO), None)
        assert await client.upload_recording(interaction, pieces(AUDIO), None)


async def test_an_engine_that_refuses_the_credentials_needs_a_person(guarded: House) -> None:
    auth = ClientCredentials(
        "http://house.test/" + TOKEN.format("base"), "recorder", "wrong", scope="openid", whose="engine"
    )
    transport = InProcess(guarded.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://house.test/v2", auth=auth) as http:
        with pytest.raises(NeedsPerson, match="engine_credentials_refused: status 401"):
            await AmbientClient(http, tenant="base").list_recordings("any")
