"""The authorization server that the SMART tests rely on refuses what a real one must refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from joserfc.util import urlsafe_b64encode

from tests.smart_authorization_server import TYPE, Refused, SmartAuthorizationServer

NOW = 1_800_000_000
RSA = RSAKey.generate_key(2048, {"kid": "r1"})
EC = ECKey.generate_key("P-384", {"kid": "e1"})
PUBLISHED = [
    {**key.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": alg}
    for key, alg in ((RSA, "RS384"), (EC, "ES384"))
]


def publishing(content: Any = PUBLISHED, **headers: str) -> SmartAuthorizationServer:
    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"keys": content}, headers=headers)

    return SmartAuthorizationServer(httpx.AsyncClient(transport=httpx.MockTransport(answer)), clock=lambda: NOW)


def assertion(key: Any = EC, header: dict[str, Any] | None = None, **changes: Any) -> str:
    names = {"iss": "ambient", "sub": "ambient", "aud": "https://login.test/token", "jti": str(uuid4())}
    claims = {name: value for name, value in {**names, "exp": NOW + 300, **changes}.items() if value is not None}
    told = {"alg": "ES384" if key is EC else "RS384", "kid": key.kid, "typ": "JWT", **(header or {})}
    return jwt.encode({name: value for name, value in told.items() if value}, claims, key, algorithms=[told["alg"]])


def form(signed: str, **changes: str) -> str:
    fields = {"grant_type": "client_credentials", "scope": "system/Media.rs", "client_assertion_type": TYPE}
    return urlencode({**fields, "client_assertion": signed, **changes})


@pytest.mark.parametrize("key", [RSA, EC])
async def test_a_good_assertion_gets_a_token_that_opens(key: Any) -> None:
    server = publishing()
    token = (await server.grant(form(assertion(key))))["access_token"]
    assert server.takes(f"Bearer {token}")
    assert not server.takes("Bearer x")
    assert not server.takes(None)
    server.revoke()
    assert not server.takes(f"Bearer {token}")


def unsigned() -> str:
    header = urlsafe_b64encode(b'{"alg":"none","kid":"e1","typ":"JWT"}').decode()
    return f"{header}.{assertion().split('.')[1]}."


def by_secret() -> str:
    """HMAC with the published key as the secret: the classic confusion."""
    secret = OctKey.import_key(str(PUBLISHED[0]["n"]))
    header = {"alg": "HS256", "kid": "r1", "typ": "JWT"}
    return jwt.encode(header, {"iss": "ambient"}, secret, algorithms=["HS256"])


BAD: dict[str, tuple[Callable[[], str], str]] = {
    "wrong aud": (lambda: assertion(aud="https://login.test"), "aud"),
    "aud as a list": (lambda: assertion(aud=["https://login.test/token"]), "aud"),
    "another client": (lambda: assertion(iss="other"), "iss or sub"),
    "another subject": (lambda: assertion(sub="other"), "iss or sub"),
    "expired": (lambda: assertion(exp=NOW), "expired"),
    "no exp": (lambda: assertion(exp=None), "expired"),
    "more than five minutes": (lambda: assertion(exp=NOW + 301), "exp too far ahead"),
    "iat in the future": (lambda: assertion(iat=NOW + 1), "from the future"),
    "nbf in the future": (lambda: assertion(nbf=NOW + 1), "from the future"),
    "no jti": (lambda: assertion(jti=None), "jti"),
    "a long jti": (lambda: assertion(jti="x" * 152), "jti"),
    "unknown kid": (lambda: assertion(header={"kid": "e2"}), "kid"),
    "no kid": (lambda: assertion(header={"kid": None}), "typ or kid"),
    "kid of another key": (lambda: assertion(header={"kid": "r1"}), "signature"),
    "another key under a known kid": (lambda: assertion(ECKey.generate_key("P-384", {"kid": "r1"}), {"alg": "ES384"}), "signature"),
    "RS256": (lambda: assertion(RSA, {"alg": "RS256"}), "alg"),
    "alg none": (unsigned, "alg"),
    "HS256": (by_secret, "alg"),
    "another typ": (lambda: assertion(header={"typ": "at+jwt"}), "typ or kid"),
    "foreign jku": (lambda: assertion(header={"jku": "https://evil.test/keys"}), "jku"),
    "not a JWT": (lambda: "abc", "not a JWT"),
    "not base64": (lambda: "a.b.c", "not a JWT"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_assertion_is_refused(name: str) -> None:
    make, why = BAD[name]
    with pytest.raises(Refused, match=f"invalid_client: {why}"):
        await publishing().grant(form(make()))


async def test_an_assertion_is_good_for_one_request() -> None:
    server, signed = publishing(), assertion()
    await server.grant(form(signed))
    with pytest.raises(Refused, match="replayed"):
        await server.grant(form(signed))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"client_assertion_type": "x"}, "unsupported_grant_type"),
        ({"client_id": "ambient"}, "invalid_request"),
        ({"client_secret": "s"}, "invalid_request"),
    ],
)
async def test_a_bad_form_is_refused(changes: dict[str, str], error: str) -> None:
    with pytest.raises(Refused, match=error):
        await publishing().grant(form(assertion(), **changes))


async def test_only_what_is_allowed_is_granted() -> None:
    server = publishing()
    server.allowed = {"system/Media.rs"}
    granted = await server.grant(form(assertion(), scope="system/Media.rs system/Patient.r"))
    assert granted["scope"] == "system/Media.rs"
    with pytest.raises(Refused, match="invalid_scope"):
        await server.grant(form(assertion(), scope="system/Patient.r"))


async def test_private_members_in_the_published_keys_are_noticed() -> None:
    leaking = KeySet([EC]).as_dict(private=True)["keys"]
    with pytest.raises(AssertionError, match="private member"):
        await publishing(leaking).grant(form(assertion()))


async def test_keys_are_kept_for_as_long_as_the_answer_allows() -> None:
    keeping, asking = publishing(**{"Cache-Control": "public, max-age=60"}), publishing()
    for server in (keeping, asking):
        for _ in range(2):
            await server.grant(form(assertion()))
    assert (keeping.fetches, asking.fetches) == (1, 2)
