"""Tokens of an external OpenID Connect issuer: which are taken, for whom, and what happens while it is down."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64encode

from adapters.ambient.in_process import InProcess
from adapters.database.database import Database
from adapters.oauth.published_keys import PublishedKeys
from service.api.issuer import ALGORITHMS, Issuer
from service.api.issuer_keys import IssuerKeys
from service.api.serving import listening
from service.errors import IssuerUnavailable
from tests.ambient_service import logged
from tests.journey.guarded_house import CLIENTS, House, assert_unauthorized, house
from tests.journey.hospital import open_hospital
from tests.journey.openid_issuer import NOW, OpenIdIssuer


class Trusting:
    """A house that takes the tokens of an issuer, and the issuer. `clock` is both's and the cache's."""

    def __init__(self, issuer: OpenIdIssuer, guarded: House, keys: IssuerKeys) -> None:
        self.issuer = issuer
        self.guarded = guarded
        self.keys = keys

    async def get(self, token: str, tenant: str | None = "clinic", path: str = "v2/interactions/") -> httpx.Response:
        return await self.guarded.get(token, tenant, path)  # type: ignore[no-any-return]

    def later(self, seconds: float) -> None:
        self.guarded.clock.time += seconds


@pytest.fixture
async def trusting(database: Database, tmp_path: Path) -> AsyncIterator[Trusting]:
    issuer = OpenIdIssuer()
    issuer.rotate("k1")
    clocks: list[Callable[[], float]] = []
    async with httpx.AsyncClient(transport=InProcess(issuer.app)) as http:
        keys = IssuerKeys(PublishedKeys(http, issuer.url), lambda: clocks[0]())
        accepted = Issuer(issuer.url, "ambient", "tenant", keys, lambda: clocks[0]())
        async with house(database, tmp_path, CLIENTS, issuer=accepted) as guarded:
            clocks.append(guarded.clock)
            yield Trusting(issuer, guarded, keys)
        await keys.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_of_the_issuer_opens_the_api_for_its_tenant(trusting: Trusting, algorithm: str) -> None:
    trusting.issuer.rotate("k1", algorithm)
    token = trusting.issuer.token(algorithm)
    assert (await trusting.get(token)).status_code == 200
    assert (await trusting.get(token, "base")).status_code == 403
    assert (await trusting.get(token, None)).status_code == 403
    assert trusting.issuer.fetches == 1


TAKEN: list[tuple[dict[str, Any], str]] = [
    ({"aud": ["other", "ambient"]}, "clinic"),
    ({"exp": NOW - 29}, "clinic"),
    ({"nbf": NOW + 29}, "clinic"),
]


async def test_what_else_is_taken(trusting: Trusting) -> None:
    for changes, tenant in TAKEN:
        assert (await trusting.get(trusting.issuer.token(**changes), tenant)).status_code == 200, changes


NOT_TAKEN: list[dict[str, Any]] = [
    {"iss": "http://127.0.0.1:9/"},
    {"aud": "other"},
    {"aud": None},
    {"aud": {"ambient": 1}},
    {"exp": NOW - 31},
    {"exp": None},
    {"exp": str(NOW + 300)},
    {"nbf": NOW + 31},
    {"tenant": "no such name"},
    {"tenant": ["clinic"]},
    {"tenant": ""},
    {"tenant": None},
    {"sub": None, "azp": None},
]


async def test_what_is_not_taken(trusting: Trusting) -> None:
    for changes in NOT_TAKEN:
        for tenant in ("clinic", "base"):
            assert_unauthorized(await trusting.get(trusting.issuer.token(**changes), tenant))


async def test_without_a_tenant_claim_every_token_belongs_to_the_default_tenant(
    database: Database, tmp_path: Path
) -> None:
    issuer = OpenIdIssuer()
    issuer.rotate("k1")
    async with httpx.AsyncClient(transport=InProcess(issuer.app)) as http:
        accepted = Issuer(issuer.url, "ambient", None, IssuerKeys(PublishedKeys(http, issuer.url)), lambda: NOW)
        async with house(database, tmp_path, {}, issuer=accepted) as guarded:
            for token in (issuer.token(), issuer.token(tenant=None)):
                assert (await guarded.get(token, "base")).status_code == 200
                assert (await guarded.get(token, "clinic")).status_code == 403


def encoded(part: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).decode()


def forged(issuer: OpenIdIssuer, kind: str) -> str:
    """A token whose claims are all right, and which the issuer did not sign."""
    if kind == "unsigned":
        return f"{encoded({'alg': 'none', 'kid': 'k1'})}.{encoded(issuer.claims())}."
    if kind == "signed with the public key as a secret":
        signed = f"{encoded({'alg': 'HS256', 'kid': 'k1'})}.{encoded(issuer.claims())}"
        mac = hmac.digest(issuer.keys["k1"].as_pem(private=False), signed.encode(), "sha256")
        return f"{signed}.{urlsafe_b64encode(mac).decode()}"
    if kind == "of another's key":
        return jwt.encode({"alg": "RS256", "kid": "k1"}, issuer.claims(), RSAKey.generate_key(2048))
    header, claims, signature = issuer.token().split(".")
    if kind == "changed":
        return f"{header}.{encoded(issuer.claims(tenant='base'))}.{signature}"
    if kind == "of another algorithm":
        return f"{encoded({'alg': 'ES256', 'kid': 'k1'})}.{claims}.{signature}"
    return f"{header}.{claims}."


FORGED = [
    "unsigned",
    "signed with the public key as a secret",
    "of another's key",
    "changed",
    "of another algorithm",
    "without its signature",
]


async def test_a_forged_token_is_unauthorized(trusting: Trusting) -> None:
    assert (await trusting.get(trusting.issuer.token())).status_code == 200
    for kind in FORGED:
        for tenant in ("clinic", "base"):
            assert (await trusting.get(forged(trusting.issuer, kind), tenant)).status_code == 401, kind


@pytest.mark.parametrize("header", [{"crit": 1}, {"crit": [{}]}, {"crit": None}, {"crit": ["exp"]}, {"b64": []}])
async def test_a_header_of_the_wrong_kinds_is_unauthorized(trusting: Trusting, header: dict[str, Any]) -> None:
    _, claims, signature = trusting.issuer.token().split(".")
    odd = encoded({"alg": "RS256", "kid": "k1", **header})
    assert_unauthorized(await trusting.get(f"{odd}.{claims}.{signature}"))


SCOPES: list[tuple[dict[str, Any], int, int]] = [
    ({}, 200, 403),
    ({"scope": "openid profile"}, 200, 403),
    ({"scope": "openid operations"}, 403, 200),
    ({"scp": "ambient operations"}, 200, 200),
    ({"scp": ["operations"], "scope": "ambient"}, 200, 200),
    ({"roles": ["operations", 7]}, 403, 200),
    ({"roles": "operations", "scope": {"ambient": True}}, 403, 200),
]


async def test_scopes_are_found_wherever_issuers_put_them(trusting: Trusting) -> None:
    for claims, ambient, operations in SCOPES:
        token = trusting.issuer.token(**claims)
        assert (await trusting.get(token)).status_code == ambient, claims
        assert (await trusting.get(token, path="visits")).status_code == operations, claims


async def test_the_caller_has_the_clients_name(trusting: Trusting) -> None:
    names: list[tuple[dict[str, Any], str]] = [({}, "portal"), ({"client_id": "app"}, "app"), ({"azp": None}, "user-1")]
    for changes, client in names:
        token = trusting.issuer.token(scope="operations", **changes)
        assert (await trusting.get(token, path="visits")).json() == {"client": client, "tenant": "clinic"}


async def test_a_new_key_is_fetched_when_a_token_names_it(trusting: Trusting) -> None:
    old = trusting.issuer.token()
    assert (await trusting.get(old)).status_code == 200
    trusting.issuer.rotate("k2")
    new = trusting.issuer.token()
    assert_unauthorized(await trusting.get(new))
    trusting.later(30)
    answers = await asyncio.gather(*(trusting.get(new) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert trusting.issuer.fetches == 2
    assert_unauthorized(await trusting.get(old))


async def test_an_unknown_key_is_not_asked_for_at_every_request(trusting: Trusting) -> None:
    unknown = trusting.issuer.token(kid="unknown")
    for _ in range(5):
        assert_unauthorized(await trusting.get(unknown))
    assert trusting.issuer.fetches == 1
    trusting.later(30)
    assert_unauthorized(await trusting.get(unknown))
    assert trusting.issuer.fetches == 2


async def test_keys_are_renewed_behind_a_use(trusting: Trusting) -> None:
    withdrawn = trusting.issuer.token(exp=NOW + 3600)
    assert (await trusting.get(withdrawn)).status_code == 200
    trusting.issuer.rotate("k2")
    trusting.later(600)
    assert (await trusting.get(withdrawn)).status_code == 200
    async with asyncio.timeout(5):
        while trusting.issuer.fetches < 2:  # noqa: ASYNC110 - nothing tells when a renewal has ended
            await asyncio.sleep(0.001)
    assert (await trusting.get(trusting.issuer.token(exp=NOW + 3600))).status_code == 200
    assert_unauthorized(await trusting.get(withdrawn))


async def test_while_the_issuer_is_down_its_tokens_are_asked_to_come_again(trusting: Trusting) -> None:
    trusting.issuer.status = 503
    answer = await trusting.get(trusting.issuer.token())
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["status"]) == (503, "5", 503)
    assert answer.json()["requestid"] == answer.headers["X-Request-Id"]
    assert (await trusting.get(trusting.issuer.token(kid="other"))).status_code == 503
    assert trusting.issuer.fetches == 0
    own = await trusting.guarded.token()
    assert (await trusting.get(own, "base")).status_code == 200
    assert_unauthorized(await trusting.get("a.b.c"))
    trusting.issuer.status = 200
    trusting.later(5)
    assert (await trusting.get(trusting.issuer.token())).status_code == 200


async def test_known_keys_serve_on_while_the_issuer_is_down(
    trusting: Trusting, caplog: pytest.LogCaptureFixture
) -> None:
    token = trusting.issuer.token(exp=NOW + 3600)
    assert (await trusting.get(token)).status_code == 200
    trusting.issuer.status = 500
    trusting.later(900)
    for _ in range(3):
        assert (await trusting.get(token)).status_code == 200
    assert [line["event"] for line in logged(caplog)] == ["issuer_unavailable"]


async def test_with_an_issuer_alone_the_token_endpoint_knows_no_client(database: Database, tmp_path: Path) -> None:
    issuer = OpenIdIssuer()
    async with httpx.AsyncClient(transport=InProcess(issuer.app)) as http:
        accepted = Issuer(issuer.url, "ambient", "tenant", IssuerKeys(PublishedKeys(http, issuer.url)))
        async with house(database, tmp_path, {}, issuer=accepted) as guarded:
            refused = await guarded.ask(client_id="any", client_secret="any")
            assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
            assert_unauthorized(await guarded.get(None))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"issuer": "http://127.0.0.1:9/", "jwks_uri": "http://127.0.0.1:9/keys"}, "another issuer"),
        ({"issuer": "http://127.0.0.1:9", "jwks_uri": "http://192.0.2.1/keys"}, "no safe jwks_uri"),
        ({"issuer": "http://127.0.0.1:9", "jwks_uri": "file:///etc/keys"}, "no safe jwks_uri"),
        ({"issuer": "http://127.0.0.1:9", "jwks_uri": "http://[/keys"}, "no safe jwks_uri"),
        ({"issuer": "http://127.0.0.1:9"}, "no safe jwks_uri"),
        (
            {"issuer": "http://127.0.0.1:9", "jwks_uri": "http://127.0.0.1:9/.well-known/openid-configuration"},
            "no keys",
        ),
        ({"issuer": "http://127.0.0.1:9", "jwks_uri": "http://127.0.0.1:9/nowhere"}, "status 404"),
        (["issuer"], "not a JSON object"),
        ({"issuer": "x" * 2**21}, "too large"),
    ],
)
async def test_what_an_issuer_may_not_publish(document: Any, why: str) -> None:
    issuer = OpenIdIssuer()
    issuer.document = document
    async with httpx.AsyncClient(transport=InProcess(issuer.app)) as http:
        with pytest.raises(IssuerUnavailable, match=why):
            await PublishedKeys(http, issuer.url).fetch()


async def test_an_issuer_over_the_network_that_goes_away() -> None:
    issuer = OpenIdIssuer()
    issuer.rotate("k1", "ES256")
    async with httpx.AsyncClient(trust_env=False) as http:
        async with listening(issuer.app, "127.0.0.1", 0) as port:
            issuer.url = f"http://127.0.0.1:{port}"
            published = PublishedKeys(http, issuer.url)
            assert [key["kid"] for key in await published.fetch()] == ["odd", "k1"]
        with pytest.raises(IssuerUnavailable, match=r"ConnectError|RemoteProtocolError"):
            await published.fetch()


async def test_a_served_house_takes_the_tokens_of_the_issuer_that_is_set(tmp_path: Path) -> None:
    issuer = OpenIdIssuer()
    issuer.rotate("k1", "ES256")
    async with listening(issuer.app, "127.0.0.1", 0) as port:
        issuer.url = f"http://127.0.0.1:{port}"
        now = int(time.time())
        token = issuer.token("ES256", practice="clinic", iat=now, exp=now + 300)
        api = {"oidc_issuer": issuer.url, "oidc_audience": "ambient", "oidc_tenant_claim": "practice"}
        async with open_hospital(tmp_path, api=api) as hospital:
            transport = httpx.ASGITransport(app=hospital.house.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://house.test") as http:
                headers = {"Authorization": f"Bearer {token}", "Tenant-Name": "clinic"}
                assert (await http.get("/v2/interactions/", headers=headers)).status_code == 200
                assert (await http.get("/visits", headers=headers)).status_code == 403
                assert_unauthorized(await http.get("/v2/interactions/"))
