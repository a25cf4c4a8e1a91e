"""The file with this client's keys, and what of it is published."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from adapters.ambient.in_process import InProcess
from adapters.oauth.key_file import PUBLIC, KeyFile
from service.api.jwks import MAX_AGE, PublicKeys, jwks_router
from service.errors import BadConfiguration
from tests.ambient_service import logged

RSA, EC = RSAKey.generate_key(2048), ECKey.generate_key("P-384")
VARIABLE = "AMBIENT_EHR__AUTH__KEY_FILE"


def private(key: Any, **members: Any) -> dict[str, Any]:
    return {**key.as_dict(private=True), **members}


def kept(folder: Path, content: Any) -> Path:
    file = folder / "keys"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


async def published(keys: PublicKeys | None) -> httpx.Response:
    app = FastAPI()
    app.include_router(jwks_router(keys))
    async with httpx.AsyncClient(transport=InProcess(app), base_url="https://house.test") as http:
        return await http.get("/.well-known/jwks.json")


@pytest.mark.parametrize("kind", ["pem", "jwks"])
async def test_only_public_members_are_published(tmp_path: Path, kind: str) -> None:
    odd = {"key_ops": ["sign"], "use": "sig", "nbf": 1, "password": "hunter2", "x5c": ["abc"]}
    content = {
        "pem": "".join(key.as_pem(private=True).decode() for key in (RSA, EC)),
        "jwks": {"keys": [private(RSA, kid="r", alg="RS384", **odd), private(EC, kid="e")]},
    }[kind]
    answer = await published(KeyFile(kept(tmp_path, content), VARIABLE))
    keys = answer.json()["keys"]
    assert [key["alg"] for key in keys] == ["RS384", "ES384"]
    assert [set(key) - {"kid", "use", "alg"} for key in keys] == [{"kty", "n", "e"}, {"kty", "crv", "x", "y"}]
    for key in (RSA, EC):
        members = key.as_dict(private=True)
        assert [name for name in members if name not in PUBLIC and str(members[name]) in answer.text] == []
    assert "hunter2" not in answer.text
    assert "PRIVATE" not in answer.text


async def test_the_keys_are_answered_directly_and_may_be_kept_for_an_hour(tmp_path: Path) -> None:
    answer = await published(KeyFile(kept(tmp_path, private(EC)), VARIABLE))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == f"public, max-age={MAX_AGE}"


async def test_without_a_key_the_set_is_empty_and_not_kept() -> None:
    answer = await published(None)
    assert (answer.status_code, answer.json()) == (200, {"keys": []})
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_public_key_is_published_and_never_signs(tmp_path: Path) -> None:
    content = {"keys": [{**RSA.as_dict(private=False), "kid": "old"}, private(EC, kid="new")]}
    keys = KeyFile(kept(tmp_path, content), VARIABLE)
    assert [key["kid"] for key in keys.public()] == ["old", "new"]
    assert keys.signing().kid == "new"


def test_a_key_that_may_not_sign_yet_does_not(tmp_path: Path) -> None:
    now = [99.0]
    keys = KeyFile(kept(tmp_path, private(EC, nbf=100)), VARIABLE, lambda: now[0])
    with pytest.raises(BadConfiguration, match="no private key that may sign yet"):
        keys.signing()
    now[0] = 100.0
    assert keys.signing().kid == EC.thumbprint()


def ec_pem(curve: ec.EllipticCurve) -> str:
    key = ec.generate_private_key(curve)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def test_a_pem_as_openssl_writes_it_will_do(tmp_path: Path) -> None:
    """`openssl ecparam -genkey` puts the parameters before the key."""
    parameters = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n"
    assert KeyFile(kept(tmp_path, parameters + ec_pem(ec.SECP384R1())), VARIABLE).signing().algorithm == "ES384"


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "empty": (lambda: "", "must hold a private key"),
    "not a key": (lambda: "hunter2", "must hold a private key"),
    "not JSON": (lambda: "{hunter2", "JSONDecodeError"),
    "no keys": (lambda: {"keys": []}, "must hold a private key"),
    "keys not a list": (lambda: {"keys": "hunter2"}, "a JWK Set has a list"),
    "public alone": (lambda: EC.as_dict(private=False), "must hold a private key"),
    "P-256": (lambda: ec_pem(ec.SECP256R1()), "P-384"),
    "P-521": (lambda: private(ECKey.generate_key("P-521")), "P-384"),
    "a short RSA key": (lambda: private(RSAKey.generate_key(1024)), "2048 bits"),
    "a secret": (lambda: private(OctKey.generate_key(256)), "neither an EC nor an RSA key"),
    "Ed25519": (lambda: private(OKPKey.generate_key("Ed25519")), "neither an EC nor an RSA key"),
    "for another algorithm": (lambda: private(RSA, alg="RS256"), "RS384"),
    "for encryption": (lambda: private(RSA, use="enc"), "for signatures"),
    "one kid twice": (lambda: {"keys": [private(EC, kid="k"), private(RSA, kid="k")]}, "under its own kid"),
    "half a key": (lambda: {"kty": "EC", "crv": "P-384", "d": "hunter2"}, "cannot be used"),
    "an encrypted PEM": (
        lambda: EC.as_pem(private=True, password="hunter2").decode(),
        "must hold a private key|cannot be used",
    ),
}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_is_refused_and_not_quoted(tmp_path: Path, name: str) -> None:
    make, why = BAD[name]
    with pytest.raises(BadConfiguration, match=why) as refused:
        KeyFile(kept(tmp_path, make()), VARIABLE)
    assert VARIABLE in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=f"{VARIABLE}=.*FileNotFoundError"):
        KeyFile(tmp_path / "none", VARIABLE)


def test_a_changed_file_is_read_again_and_a_broken_one_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = KeyFile(kept(tmp_path, private(EC, kid="a")), VARIABLE)
    kept(tmp_path, private(RSA, kid="b"))
    assert keys.signing().kid == "b"
    kept(tmp_path, "hunter2")
    assert [keys.signing().kid for _ in range(3)] == ["b"] * 3
    (tmp_path / "keys").unlink()
    assert [keys.public()[0]["kid"] for _ in range(3)] == ["b"] * 3
    kept(tmp_path, private(EC, kid="c"))
    assert keys.signing().kid == "c"
    events = [line["event"] for line in logged(caplog)]
    assert events == ["client_keys_read", "client_keys_unusable", "client_keys_unusable", "client_keys_read"]
    assert "hunter2" not in caplog.text


def test_a_mounted_secret_is_swapped_by_its_link(tmp_path: Path) -> None:
    for name, key in (("one", EC), ("two", RSA)):
        (tmp_path / name).mkdir()
        kept(tmp_path / name, private(key, kid=name))
        os.utime(tmp_path / name / "keys", (1, 1))
    link, data = tmp_path / "keys", tmp_path / "..data"
    data.symlink_to(tmp_path / "one")
    link.symlink_to(data / "keys")
    keys = KeyFile(link, VARIABLE)
    assert keys.signing().kid == "one"
    (tmp_path / "..tmp").symlink_to(tmp_path / "two")
    (tmp_path / "..tmp").rename(data)
    assert keys.signing().kid == "two"
