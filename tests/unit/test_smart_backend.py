"""SMART Backend Services against a strict authorization server that fetches our keys from `/.well-known/jwks.json`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from joserfc.jwk import ECKey, RSAKey

from adapters.ambient.in_process import InProcess
from adapters.ehr.audio import AudioSource
from adapters.ehr.client import EhrClient
from adapters.oauth.key_file import KeyFile
from adapters.oauth.smart_backend import PROPAGATION, Client, SmartBackend
from service.api.jwks import MAX_AGE, jwks_router
from service.errors import BadConfiguration, NeedsPerson, Retryable
from tests.ambient_service import logged
from tests.smart_authorization_server import SmartAuthorizationServer

BASE = "https://ehr.test/fhir/R4"
PATIENT = {"resourceType": "Patient", "id": "p1"}
RSA, EC, LATER = RSAKey.generate_key(2048), ECKey.generate_key("P-384"), ECKey.generate_key("P-384")


def jwk(key: RSAKey | ECKey, kid: str, **members: Any) -> dict[str, Any]:
    return {**key.as_dict(private=True), "kid": kid, **members}


def written(file: Path, content: str) -> Path:
    file.write_text(content)
    return file


class World:
    """Our client, our published keys, the authorization server, and an EHR that asks it; all on one clock, but for
    `skew`: by so many seconds the clock of the others is ahead of ours."""

    def __init__(self, file: Path, **client: Any) -> None:
        self.time, self.skew = 1_800_000_000.0, 0.0
        self.reads, self.slow = 0, 0
        self.renewed = asyncio.Event()
        self.file = file
        self.keys = KeyFile(file, "AMBIENT_EHR__AUTH__KEY_FILE", lambda: self.time)
        own = FastAPI()
        own.include_router(jwks_router(self.keys))
        fetching = httpx.AsyncClient(transport=InProcess(own))
        self.server = SmartAuthorizationServer(fetching, clock=lambda: self.time + self.skew)
        given = {"token_url": None, "scope": None, "jwks_url": None, **client}
        self.auth = SmartBackend(
            Client("ambient", BASE, **given), self.keys, now=lambda: self.time, clock=lambda: self.time
        )
        self.ehr = self.client(self.auth)
        self.discovery: httpx.Response | None = None

    def client(self, auth: httpx.Auth) -> EhrClient:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer), auth=auth)
        elsewhere = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        return EhrClient(http, BASE, "ehr", 5, AudioSource(http, elsewhere, BASE, frozenset(), 100, 5))

    async def read(self) -> dict[str, Any]:
        return await self.ehr.read("Patient/p1")

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        smart = request.url.path.endswith("smart-configuration")
        if smart and self.discovery is not None:
            return self.discovery
        if smart or request.url.host == "login.test":
            assert "Authorization" not in request.headers
            return await InProcess(self.server.app).handle_async_request(request)
        self.reads += 1
        good = self.server.takes(request.headers.get("Authorization"))
        if self.reads == self.slow:
            await self.renewed.wait()
        return httpx.Response(200, json=PATIENT) if good else httpx.Response(401)

    def write(self, *keys: dict[str, Any]) -> None:
        self.file.write_text(json.dumps({"keys": keys}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [jwk(EC, "k1")]}))
    return file


@pytest.fixture
def world(file: Path) -> World:
    return World(file)


@pytest.mark.parametrize("key", [RSA, EC])
@pytest.mark.parametrize("form", ["pem", "jwk", "jwks"])
async def test_a_key_of_either_kind_in_any_form_opens_the_ehr(file: Path, key: RSAKey | ECKey, form: str) -> None:
    own = key.as_dict(private=True)
    forms = {"pem": key.as_pem(private=True).decode(), "jwk": json.dumps(own), "jwks": json.dumps({"keys": [own]})}
    world = World(written(file, forms[form]))
    assert await world.read() == PATIENT
    (proof,) = world.server.assertions
    assert proof["header"]["alg"] == ("RS384" if key is RSA else "ES384")
    assert proof["header"]["kid"] == key.thumbprint()
    assert world.server.refusals == []


async def test_each_request_for_a_token_has_an_assertion_of_its_own(world: World) -> None:
    await world.read()
    world.server.revoke()
    await world.read()
    first, second = world.server.assertions
    assert first["jti"] != second["jti"]
    assert first["exp"] - world.time <= 300
    assert first["iat"] == first["nbf"] == world.time - 30
    assert "jku" not in first["header"]


async def test_the_place_of_our_keys_is_named_where_it_is_known(file: Path) -> None:
    world = World(file, jwks_url="https://house.test/.well-known/jwks.json")
    await world.read()
    assert world.server.assertions[0]["header"]["jku"] == "https://house.test/.well-known/jwks.json"


@pytest.mark.parametrize("skew", [-29, -10, 10, 200])
async def test_case_35_a_clock_that_is_off_is_forgiven(world: World, skew: float) -> None:
    world.skew = skew
    assert await world.read() == PATIENT
    assert world.server.refusals == []


@pytest.mark.parametrize(("capabilities", "scope"), [
    (["permission-v2"], "system/DocumentReference.crus"), (["permission-v1", "permission-v2"], "system/DocumentReference.crus"),
    ([], "system/DocumentReference.crus"), (["permission-v1"], "system/DocumentReference.read system/DocumentReference.write"),
])  # fmt: skip
async def test_the_scope_is_spelt_as_the_ehr_understands_it(world: World, capabilities: list[str], scope: str) -> None:
    world.server.capabilities = capabilities
    await world.read()
    assert scope in world.server.scopes[0]
    assert world.auth.missing == []


async def test_a_scope_that_is_set_is_asked_for_as_it_is(file: Path) -> None:
    world = World(file, scope="system/*.rs", token_url="https://login.test/token")
    world.discovery = httpx.Response(500)
    await world.read()
    assert world.server.scopes == ["system/*.rs"]
    assert world.auth.missing == ["system/DocumentReference.cu"]


@pytest.mark.parametrize(
    "answer", [httpx.Response(404), httpx.Response(403, html="<html>"), httpx.Response(200, json=[])]
)
async def test_a_token_url_that_is_set_needs_no_discovery(file: Path, answer: httpx.Response) -> None:
    world = World(file, token_url="https://login.test/token")
    world.discovery = answer
    assert await world.read() == PATIENT


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (httpx.Response(404), NeedsPerson, "ehr_token_endpoint_unknown: status 404"),
        (httpx.Response(200, html="<html>"), NeedsPerson, "ehr_token_endpoint_unknown"),
        (httpx.Response(200, json={"token_endpoint": 7}), NeedsPerson, "ehr_token_endpoint_unknown"),
        (
            httpx.Response(200, json={"token_endpoint": "http://login.test/token"}),
            NeedsPerson,
            "ehr_token_endpoint_unknown",
        ),
        (httpx.Response(302, headers={"Location": "https://x.test"}), NeedsPerson, "ehr_token_endpoint_unknown"),
        (httpx.Response(503, headers={"Retry-After": "7"}), Retryable, "ehr_token_unavailable"),
    ],
)
async def test_an_ehr_that_does_not_say_where_tokens_are(
    world: World, answer: httpx.Response, outcome: type[Exception], words: str
) -> None:
    world.discovery = answer
    with pytest.raises(outcome, match=words):
        await world.read()
    world.discovery, world.time = None, world.time + 11
    assert await world.read() == PATIENT


async def test_only_an_algorithm_that_the_ehr_takes_is_used(world: World) -> None:
    world.server.algorithms = ["RS384"]
    with pytest.raises(BadConfiguration, match="has no key for RS384"):
        await world.read()
    world.write(jwk(EC, "k1"), jwk(RSA, "k2"))
    assert await world.read() == PATIENT
    assert world.server.assertions[0]["header"] == {"typ": "JWT", "alg": "RS384", "kid": "k2"}


async def test_what_is_needed_and_not_granted_is_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.server.allowed = {"system/Media.rs", "system/Encounter.rs"}
    for _ in range(2):
        await world.read()
        world.server.revoke()
    assert world.auth.missing == ["system/Patient.r", "system/DocumentReference.crus"]
    told = [line["detail"] for line in logged(caplog) if line["event"] == "scopes_not_granted"]
    assert told == ["system/Patient.r system/DocumentReference.crus"]


async def test_a_hundred_requests_at_once_ask_for_one_token(world: World) -> None:
    await asyncio.gather(*(world.read() for _ in range(100)))
    assert (world.server.requests, world.reads) == (1, 100)
    world.server.revoke()
    await asyncio.gather(*(world.read() for _ in range(100)))
    assert world.server.requests == 2


async def test_a_late_refusal_of_the_old_token_does_not_throw_away_the_new_one(world: World) -> None:
    await world.read()
    world.server.revoke()
    world.slow = 2
    late = asyncio.create_task(world.read())
    await asyncio.sleep(0.01)
    await world.read()
    world.renewed.set()
    assert await late == PATIENT
    assert world.server.requests == 2


async def test_case_35_a_token_that_expires_is_renewed_before_anybody_notices(world: World) -> None:
    for _ in range(20):
        assert await world.read() == PATIENT
        world.time += 60
    assert world.reads == 20  # no request was refused and repeated
    assert world.server.requests == 5  # at 240 s of 300 each


async def test_while_a_token_is_good_its_endpoint_may_fail(world: World) -> None:
    await world.read()
    world.time += 250
    world.server.answers = [JSONResponse({}, 503)]
    with pytest.raises(Retryable, match="ehr_token_unavailable"):
        await world.read()
    assert await world.read() == PATIENT
    assert world.server.requests == 2
    world.time += 15
    assert await world.read() == PATIENT
    assert world.server.requests == 3


async def test_a_refusal_that_may_be_a_new_key_on_its_way_is_waited_for_and_then_a_persons(world: World) -> None:
    """Epic takes up to an hour to learn of a client or key."""
    world.write(jwk(LATER, "k2"))
    world.server._keys, world.server._keys_until = {"k1": ECKey.import_key(EC.as_dict(private=False))}, world.time + 1e6
    with pytest.raises(Retryable, match="ehr_credentials_refused: status 401, invalid_client") as refused:
        await world.read()
    assert refused.value.after == 60
    world.time += PROPAGATION - 1
    with pytest.raises(Retryable):
        await world.read()
    world.time += 11
    with pytest.raises(NeedsPerson, match="ehr_credentials_refused"):
        await world.read()
    world.time, world.server._keys_until = world.time + 11, 0.0
    assert await world.read() == PATIENT


async def test_a_server_that_refuses_is_not_asked_over_and_over(world: World) -> None:
    world.server.client_id = "another"
    refused = await asyncio.gather(*(world.read() for _ in range(50)), return_exceptions=True)
    assert {str(one).partition(":")[0] for one in refused} == {"ehr_credentials_refused"}
    assert world.server.requests == 1
    world.server.client_id, world.time = "ambient", world.time + 11
    assert await world.read() == PATIENT


async def test_who_waits_for_an_attempt_in_vain_does_not_repeat_it(world: World) -> None:
    world.server.answers = [JSONResponse({}, 503)]
    failed = await asyncio.gather(*(world.read() for _ in range(50)), return_exceptions=True)
    assert {getattr(one, "reason", one) for one in failed} == {"ehr_token_unavailable"}
    assert world.server.requests == 1
    assert await world.read() == PATIENT


@pytest.mark.parametrize(("error", "words"), [
    ("unauthorized_client", "background user"), ("invalid_scope", "AMBIENT_EHR__AUTH__SCOPE"), ("invalid_grant", "both clocks"),
    ("jane.doe@example.test", "status 400$"), (7, "status 400$"),
])  # fmt: skip
async def test_any_other_refusal_is_a_persons_at_once(
    world: World, error: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.server.answers = [JSONResponse({"error": error, "error_description": "Jane Doe"}, 400)]
    with pytest.raises(NeedsPerson, match=words) as refused:
        await world.read()
    assert "jane" not in f"{refused.value} {logged(caplog)}".lower()


async def test_case_35_a_key_is_rotated_without_a_restart_and_without_a_refusal(world: World) -> None:
    """The documented way: publish beside the old one, wait until nobody keeps an older set, sign, take out the old one."""

    async def kid() -> str:
        world.server.revoke()
        assert await world.read() == PATIENT
        return str(world.server.assertions[-1]["header"]["kid"])

    assert await kid() == "k1"
    world.write(jwk(EC, "k1"), jwk(LATER, "k2"))
    assert await kid() == "k1"
    world.time += MAX_AGE
    world.write(jwk(LATER, "k2"), jwk(EC, "k1"))
    assert await kid() == "k2"
    world.write(jwk(LATER, "k2"))
    world.time += MAX_AGE
    assert await kid() == "k2"
    assert world.server.refusals == []


async def test_a_key_with_a_date_is_published_at_once_and_signs_from_then_on(world: World) -> None:
    world.write(jwk(LATER, "k2", nbf=world.time + 86400), jwk(EC, "k1"))
    await world.read()
    assert [key["kid"] for key in world.keys.public()] == ["k2", "k1"]
    assert world.server.assertions[-1]["header"]["kid"] == "k1"
    world.time += 86400
    world.server.revoke()
    await world.read()
    assert world.server.assertions[-1]["header"]["kid"] == "k2"
    assert world.server.refusals == []


async def test_no_token_no_assertion_and_no_key_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    world.server.allowed = {"system/Media.rs"}
    await world.read()
    world.write(jwk(LATER, "k2"))
    world.server.client_id, world.time = "another", world.time + 301
    with pytest.raises(Retryable):
        await world.read()
    said = caplog.text + str(logged(caplog))
    secrets = [*world.server._tokens, EC.as_dict(private=True)["d"], LATER.as_dict(private=True)["d"], "eyJ"]
    assert "token_refused" in said
    assert [secret for secret in secrets if str(secret) in said] == []
    assert str(EC.as_dict(private=True)["d"]) not in str(world.keys.public())
