"""Who may call: tokens by client credentials, and the bearer check in front of the ambient API."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from adapters.ambient.client import AmbientClient
from adapters.ambient.in_process import InProcess
from adapters.database.database import Database
from adapters.database.signing_keys import SqlSigningKeys
from adapters.oauth.client_credentials import ClientCredentials
from service.ambient.app import ambient_router
from service.ambient.errors import install_error_handlers
from service.api.auth import Access, Caller, token_router
from service.api.tokens import LIFETIME, Tokens
from service.errors import BadConfiguration, NeedsPerson, Retryable
from service.settings import ApiClient, read_settings
from tests.ambient_service import VISIT, ambient_service, pieces
from tests.engines import AUDIO

CLIENTS = {
    "recorder": "s3cret",
    "clinic": {"secret": "other", "tenant": "clinic"},
    "operator": {"secret": "ops", "scopes": ["operations"]},
}
TOKEN = "realms/{}/protocol/openid-connect/token"


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


class House:
    """The outer app as its callers see it."""

    def __init__(self, app: FastAPI, http: httpx.AsyncClient, clock: Clock) -> None:
        self.app = app
        self.http = http
        self.clock = clock

    async def ask(self, tenant: str = "base", **form: str) -> httpx.Response:
        return await self.http.post(TOKEN.format(tenant), data={"grant_type": "client_credentials", **form})

    async def token(self, client: str = "recorder", secret: str = "s3cret", tenant: str = "base") -> str:
        answered = await self.ask(tenant, client_id=client, client_secret=secret)
        return str(answered.json()["access_token"])

    async def get(self, token: str | None, tenant: str | None = "base", path: str = "v2/interactions/") -> Any:
        bearer = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return await self.http.get(path, headers={**bearer, **({"Tenant-Name": tenant} if tenant else {})})


@asynccontextmanager
async def house(database: Database, folder: Path, clients: dict[str, Any]) -> AsyncIterator[House]:
    configured: dict[str, ApiClient] = read_settings(api={"clients": clients}).api.clients
    clock = Clock()
    access = Access(configured, Tokens(SqlSigningKeys(database), now=clock))
    app = FastAPI(redirect_slashes=False)
    install_error_handlers(app)
    app.include_router(token_router(access))

    operator = Depends(access.require("operations"))

    @app.get("/visits")
    async def visits(caller: Caller = operator) -> dict[str, str | None]:
        return {"client": caller.client_id, "tenant": caller.tenant}

    async with ambient_service(database, folder / "blobs") as service:
        guard = [Depends(access.require("ambient"))]
        app.include_router(ambient_router(service.rooms), prefix="/v2", dependencies=guard)
        async with httpx.AsyncClient(transport=InProcess(app), base_url="http://house.test") as http:
            yield House(app, http, clock)


@pytest.fixture
async def guarded(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with house(database, tmp_path, CLIENTS) as guarded:
        yield guarded


def assert_unauthorized(response: httpx.Response) -> None:
    assert response.status_code == 401
    assert response.content == b""
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_a_token_opens_the_ambient_api_for_its_own_tenant(guarded: House) -> None:
    answered = await guarded.ask(client_id="recorder", client_secret="s3cret", scope="openid")
    body = answered.json()
    assert (answered.status_code, answered.headers["Cache-Control"]) == (200, "no-store")
    assert (body["expires_in"], body["token_type"]) == (LIFETIME, "Bearer")
    assert (await guarded.get(body["access_token"])).status_code == 200


async def test_credentials_may_come_by_http_basic(guarded: House) -> None:
    basic = base64.b64encode(b"recorder:s3cret").decode()
    answered = await guarded.http.post(
        TOKEN.format("base"), data={"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {basic}"}
    )
    assert answered.status_code == 200


@pytest.mark.parametrize("path", [TOKEN.format("base"), "v2/base/protocol/openid-connect/token"])
async def test_both_token_paths_answer(guarded: House, path: str) -> None:
    form = {"grant_type": "client_credentials", "client_id": "recorder", "client_secret": "s3cret"}
    assert (await guarded.http.post(path, data=form)).status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_id": "stranger", "client_secret": "s3cret"}, 401, "invalid_client"),
        ({"client_id": "clinic", "client_secret": "other"}, 401, "invalid_client"),
        ({"client_id": "recorder", "client_secret": "wrong"}, 401, "unauthorized_client"),
        ({"client_id": "recorder", "client_secret": "sécret"}, 401, "unauthorized_client"),
        ({"client_id": "recorder"}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_wrong_credentials_give_no_token(guarded: House, form: dict[str, str], status: int, error: str) -> None:
    answered = await guarded.ask(**form)
    assert (answered.status_code, answered.json()["error"]) == (status, error)
    assert set(answered.json()) == {"error", "error_description"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", "application/json"),
        (b"", "application/x-www-form-urlencoded"),
        (b"grant_type", "application/x-www-form-urlencoded"),
        (b"\xff=\xff", "application/x-www-form-urlencoded"),
        (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded"),
        (b"a=" + b"b" * 20_000, "application/x-www-form-urlencoded"),
    ],
)
async def test_a_malformed_token_request_is_bad(guarded: House, content: bytes, kind: str) -> None:
    answered = await guarded.http.post(TOKEN.format("base"), content=content, headers={"Content-Type": kind})
    assert answered.status_code == 400
    assert answered.json()["error"] in ("invalid_request", "unsupported_grant_type")


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


async def test_all_pods_sign_with_the_key_that_was_kept_first(database: Database) -> None:
    one, two = Tokens(SqlSigningKeys(database)), Tokens(SqlSigningKeys(database))
    assert (await two.read(await one.issue("recorder", "base"))).client_id == "recorder"
    kept = await SqlSigningKeys(database).find()
    assert await SqlSigningKeys(database).propose({"kty": "EC"}) == kept


@pytest.mark.parametrize("kind", ["EC", "RSA", "JWK"])
async def test_the_signing_key_may_come_from_a_file(database: Database, tmp_path: Path, kind: str) -> None:
    import json

    from joserfc.jwk import ECKey, RSAKey

    file = tmp_path / "key"
    key: Any = RSAKey.generate_key(2048) if kind == "RSA" else ECKey.generate_key("P-256")
    file.write_bytes(json.dumps(key.as_dict(private=True)).encode() if kind == "JWK" else key.as_pem(private=True))
    keys = SqlSigningKeys(database)
    token = await Tokens(keys, file).issue("recorder", "base")
    assert (await Tokens(keys, file).read(token)).tenant == "base"
    assert await keys.find() is None


@pytest.mark.parametrize("content", [None, "", "nonsense", "{}", '{"kty":"oct","k":"c2VjcmV0"}'])
async def test_a_key_file_that_cannot_be_used_is_named(database: Database, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadConfiguration, match=re.escape(f"AMBIENT_API__SIGNING_KEY_FILE={file}")):
        await Tokens(SqlSigningKeys(database), file).issue("recorder", "base")
