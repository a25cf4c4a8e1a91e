"""The token endpoint: client credentials, hashed secrets, the signing key, and how often one may ask."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import httpx
import pytest

from adapters.database.database import Database
from adapters.database.signing_keys import SqlSigningKeys
from service.api.serving import listening
from service.api.tokens import Tokens
from service.client_secrets import ScryptHash
from service.errors import BadConfiguration
from tests.ambient_service import logged
from tests.journey.guarded_house import CLIENTS, TOKEN, House, assert_unauthorized, house


@pytest.fixture
async def guarded(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with house(database, tmp_path, CLIENTS) as guarded:
        yield guarded


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


async def test_all_pods_sign_with_the_key_that_was_kept_first(database: Database) -> None:
    one, two = Tokens(SqlSigningKeys(database)), Tokens(SqlSigningKeys(database))
    assert (await two.read(await one.issue("recorder", "base"))).client_id == "recorder"
    kept = await SqlSigningKeys(database).find()
    assert await SqlSigningKeys(database).propose({"kty": "EC"}) == kept


CRITICAL: list[Any] = [1, None, [1], [{}]]
HEADERS: list[Any] = [*({"alg": "ES256", "crit": crit} for crit in CRITICAL), {"alg": []}, ["alg"], "alg", 1]


@pytest.mark.parametrize("header", HEADERS)
async def test_a_header_of_the_wrong_kinds_is_unauthorized(guarded: House, header: Any) -> None:
    parts = (json.dumps(header).encode(), b'{"sub": "recorder"}', b"signature")
    token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    assert_unauthorized(await guarded.get(token))


@pytest.mark.parametrize("kind", ["EC", "RSA", "JWK"])
async def test_the_signing_key_may_come_from_a_file(database: Database, tmp_path: Path, kind: str) -> None:
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


def cheap(secret: str) -> str:
    """A real hash with the lowest costs that are taken."""
    empty = ScryptHash(10, 8, 1, b"salt" * 4, b"\0" * 32)
    return str(replace(empty, digest=empty.derived(secret)))


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_id": "hashed", "client_secret": "s3cret"}, 200, None),
        ({"client_id": "plain", "client_secret": "other"}, 200, None),
        ({"client_id": "hashed", "client_secret": cheap("s3cret")}, 401, "unauthorized_client"),
        ({"client_id": "hashed", "client_secret": "s3cret "}, 401, "unauthorized_client"),
        ({"client_id": "plain", "client_secret": "s3cret"}, 401, "unauthorized_client"),
        ({"client_id": "stranger", "client_secret": "s3cret"}, 401, "invalid_client"),
    ],
)
async def test_a_secret_may_be_configured_as_its_hash(
    database: Database, tmp_path: Path, form: dict[str, str], status: int, error: str | None
) -> None:
    async with house(database, tmp_path, {"hashed": cheap("s3cret"), "plain": "other"}) as guarded:
        answered = await guarded.ask(**form)
        assert (answered.status_code, answered.json().get("error")) == (status, error)


async def test_hashing_does_not_hold_up_other_requests(database: Database, tmp_path: Path) -> None:
    slow = ScryptHash(15, 8, 1, b"salt" * 4, b"\0" * 32)
    async with house(database, tmp_path, {"hashed": str(slow)}) as guarded:
        await guarded.get(None)
        asking = asyncio.create_task(guarded.ask(client_id="hashed", client_secret="wrong"))
        turns = 0
        while not asking.done():
            turns += (await guarded.get(None)).status_code == 401
        assert turns > 3


@pytest.mark.parametrize("client", ["hashed", "plain", "stranger"])
async def test_a_wrong_secret_costs_a_hash_whoever_it_is_for(database: Database, tmp_path: Path, client: str) -> None:
    slow = ScryptHash(15, 8, 1, b"salt" * 4, b"\0" * 32)
    started = process_time()
    slow.derived("x")
    hashing = process_time() - started
    async with house(database, tmp_path, {"hashed": str(slow), "plain": "other"}) as guarded:
        await guarded.ask()
        started = process_time()
        assert (await guarded.ask(client_id=client, client_secret="wrong")).status_code == 401
        assert process_time() - started > hashing / 2


async def test_an_address_may_ask_only_so_often(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path, CLIENTS, rate=3) as guarded:
        right = {"client_id": "recorder", "client_secret": "s3cret"}
        assert [(await guarded.ask(**right)).status_code for _ in range(4)] == [200, 200, 200, 429]
        guarded.clock.time += 59.5
        refused = await guarded.ask(**right)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert (refused.json()["error"], set(refused.json())) == ("slow_down", {"error", "error_description"})
        elsewhere = httpx.ASGITransport(guarded.app, client=("192.0.2.7", 1))
        async with httpx.AsyncClient(transport=elsewhere, base_url="http://house.test") as other:
            form = {"grant_type": "client_credentials", **right}
            assert (await other.post(TOKEN.format("base"), data=form)).status_code == 200
        guarded.clock.time += 0.5
        assert (await guarded.ask(**right)).status_code == 200


async def test_after_ten_wrong_secrets_the_right_one_does_not_help_either(guarded: House) -> None:
    right, wrong = ({"client_id": "recorder", "client_secret": secret} for secret in ("s3cret", "wrong"))
    for _ in range(10):
        assert (await guarded.ask(**wrong)).status_code == 401
    refused = await guarded.ask(**right)
    assert (refused.status_code, refused.json()["error"], refused.headers["Retry-After"]) == (429, "slow_down", "60")
    assert (await guarded.ask("clinic", client_id="clinic", client_secret="other")).status_code == 200
    guarded.clock.time += 60
    assert (await guarded.ask(**right)).status_code == 200


async def test_nothing_is_limited_where_nothing_is_configured(database: Database, tmp_path: Path) -> None:
    async with house(database, tmp_path, {}, rate=1) as opened:
        answers = [await opened.ask(client_id="any", client_secret="any") for _ in range(3)]
        assert [answered.status_code for answered in answers] == [200, 200, 200]


async def test_no_secret_is_ever_logged(guarded: House, caplog: pytest.LogCaptureFixture) -> None:
    await guarded.ask(client_id="recorder", client_secret="s3cret")
    await guarded.ask(client_id="recorder", client_secret="sesame-9c1f")
    await guarded.ask(client_id="sesame-9c1f", client_secret="sesame-9c1f")
    await guarded.http.post(TOKEN.format("sesame-9c1f"), content=b"client_secret=sesame-9c1f")
    lines = [line for line in logged(caplog) if line["event"] == "request_refused"]
    assert [line["code"] for line in lines] == ["unauthorized_client", "invalid_client", "invalid_request"]
    assert {line["path"] for line in lines} == {"/" + TOKEN.format("{tenant}")}
    assert "s3cret" not in caplog.text
    assert "sesame" not in caplog.text


async def test_a_proxy_on_this_machine_is_believed_about_the_callers_address(
    database: Database, tmp_path: Path
) -> None:
    async with (
        house(database, tmp_path, CLIENTS, rate=1) as guarded,
        listening(guarded.app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        form = {"grant_type": "client_credentials", "client_id": "recorder", "client_secret": "s3cret"}
        for caller, status in (("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)):
            answered = await http.post(TOKEN.format("base"), data=form, headers={"X-Forwarded-For": caller})
            assert answered.status_code == status, caller
