"""How the EHR is told who calls, and that nobody else hears it."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from functools import partial
from typing import Any

import httpx
import pytest

from adapters.ehr.audio import AudioSource
from adapters.ehr.auth import ehr_auth
from adapters.ehr.client import EhrClient
from adapters.oauth.client_credentials import ClientCredentials
from service.ehr_settings import EhrAuth
from service.errors import BadConfiguration, NeedsPerson, Retryable
from service.workflow.ports import AnswerLost

BASE = "https://ehr.test/fhir/R4"
PATIENT = {"resourceType": "Patient", "id": "p1"}
OAUTH = {
    "method": "client_secret",
    "token_url": "https://login.test/token",
    "client_id": "c",
    "client_secret": "s",
    "scope": "system/*.rs",
}


class Server:
    """An EHR and its token endpoint; `good` are the authorizations that the EHR takes."""

    def __init__(self, *good: str, token: httpx.Response | Exception | None = None) -> None:
        self.good, self.token, self.given = set(good), token, 0
        self.heard: list[tuple[str, str | None]] = []
        self.forms: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.heard.append((request.url.host, request.headers.get("Authorization")))
        if request.url.host != "login.test":
            return (
                httpx.Response(200, json=PATIENT)
                if request.headers.get("Authorization") in self.good
                else httpx.Response(401)
            )
        self.forms.append(request.content.decode())
        self.patience = request.extensions.get("timeout")
        await asyncio.sleep(0)
        if isinstance(self.token, Exception):
            raise self.token
        self.given += 1
        return self.token or httpx.Response(200, json={"access_token": f"t{self.given}", "expires_in": 300})

    def client(self, **auth: Any) -> EhrClient:
        settings = EhrAuth.model_validate(auth)
        made = ehr_auth(settings, partial(ClientCredentials, whose="ehr"), lambda _: httpx.BasicAuth("no", "assertion"))
        http = httpx.AsyncClient(transport=httpx.MockTransport(self), auth=made)
        elsewhere = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return EhrClient(http, BASE, "ehr", 5, AudioSource(http, elsewhere, BASE, frozenset({"store.test"}), 100, 5))


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"method": "bearer", "token": "t"}, "Bearer t"),
        ({"method": "basic", "username": "u", "password": "p"}, "Basic dTpw"),
        (OAUTH, "Bearer t1"),
    ],
)
async def test_each_method_names_the_caller(auth: dict[str, str], header: str) -> None:
    assert await Server(header).client(**auth).read("Patient/p1") == PATIENT


async def test_without_a_method_nothing_is_sent() -> None:
    server = Server()
    with pytest.raises(NeedsPerson, match="401"):
        await server.client().read("Patient/p1")
    assert server.heard == [("ehr.test", None)]


@pytest.mark.parametrize("missing", ["token_url", "client_id", "client_secret"])
def test_what_a_method_still_needs_is_named(missing: str) -> None:
    with pytest.raises(BadConfiguration, match=f"AMBIENT_EHR__AUTH__{missing.upper()}"):
        Server().client(**{**OAUTH, missing: ""})
    for method, needed in (("bearer", "TOKEN"), ("basic", "USERNAME"), ("smart_backend", "KEY_FILE")):
        with pytest.raises(BadConfiguration, match=f"AMBIENT_EHR__AUTH__{needed}"):
            Server().client(method=method)


async def test_the_secret_may_be_shown_by_http_basic() -> None:
    """RFC 6749 §2.3.1: both are form-encoded first."""
    server = Server("Bearer t1")
    oauth = {**OAUTH, "client_id": "c:1", "client_secret": "s p+ä", "client_authentication": "client_secret_basic"}
    assert await server.client(**oauth).read("Patient/p1") == PATIENT
    assert server.heard[0] == ("login.test", "Basic " + b64encode(b"c%3A1:s+p%2B%C3%A4").decode())
    assert server.forms == ["grant_type=client_credentials&scope=system%2F%2A.rs"]


async def test_a_client_certificate_may_stand_for_the_secret() -> None:
    """RFC 8705 §2.1: the form names the client, the connection proves it."""
    server = Server("Bearer t1")
    oauth = {**OAUTH, "client_secret": None, "client_authentication": "tls_client_auth"}
    assert await server.client(**oauth).read("Patient/p1") == PATIENT
    assert server.heard[0] == ("login.test", None)
    assert server.forms == ["grant_type=client_credentials&client_id=c&scope=system%2F%2A.rs"]


async def test_a_token_endpoint_that_hangs_is_given_up_before_the_request_is() -> None:
    server = Server("Bearer t1")
    await server.client(**OAUTH).read("Patient/p1")
    assert server.patience == dict.fromkeys(("connect", "read", "write", "pool"), 2.5)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "does not take our credentials"), (403, "no reason given: allow the client this API")]
)
async def test_a_refusal_without_a_word_says_what_to_look_at(status: int, words: str) -> None:
    async def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status)

    http = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    client = EhrClient(http, BASE, "ehr", 5, AudioSource(http, http, BASE, frozenset(), 100, 5))
    with pytest.raises(NeedsPerson, match=f"ehr_refused: {status} for the Patient: .*{words}"):
        await client.read("Patient/p1")


async def test_a_refused_token_is_renewed_once() -> None:
    server = Server("Bearer t2")
    client = server.client(**OAUTH)
    assert await client.read("Patient/p1") == PATIENT
    assert server.forms[0] == "grant_type=client_credentials&client_id=c&client_secret=s&scope=system%2F%2A.rs"
    server.good = set()
    with pytest.raises(NeedsPerson, match="ehr_refused: 401"):
        await client.read("Patient/p1")
    assert server.given == 3


async def test_many_requests_at_once_share_one_token() -> None:
    server = Server("Bearer t1")
    client = server.client(**OAUTH)
    await asyncio.gather(*(client.read("Patient/p1") for _ in range(10)))
    assert server.given == 1


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (httpx.Response(400, json={"error": "invalid_client"}), NeedsPerson, "ehr_credentials_refused: status 400"),
        (httpx.Response(302, headers={"Location": "https://evil.test/"}), NeedsPerson, "ehr_credentials_refused"),
        (httpx.Response(503, headers={"Retry-After": "7"}), Retryable, "ehr_token_unavailable: status 503"),
        (httpx.Response(200, html="<html>"), Retryable, "not a token"),
        (httpx.Response(200, json=["t"]), Retryable, "not a token"),
        (httpx.Response(200, json={}), Retryable, "not a token"),
        (httpx.Response(200, json={"access_token": None}), Retryable, "not a token"),
        (httpx.Response(200, json={"access_token": "a\r\nX: y"}), Retryable, "not a token"),
        (httpx.Response(200, json={"access_token": "caf\u00e9"}), Retryable, "not a token"),
        (httpx.Response(200, json={"access_token": "t", "expires_in": "soon"}), Retryable, "not a token"),
    ],
)
async def test_a_token_endpoint_that_fails(answer: httpx.Response, outcome: type[Exception], words: str) -> None:
    with pytest.raises(outcome, match=words) as failed:
        await Server(token=answer).client(**OAUTH).read("Patient/p1")
    assert getattr(failed.value, "after", None) == (7 if answer.status_code == 503 else None)


@pytest.mark.parametrize(
    "token",
    [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.Response(503, headers={"Retry-After": "7"})],
)
async def test_a_token_endpoint_that_is_down_does_not_park_the_ehr(token: httpx.Response | Exception) -> None:
    client = Server(token=token).client(**OAUTH)
    for _ in range(5):
        with pytest.raises(Retryable, match="ehr_token_un"):
            await client.read("Patient/p1")


@pytest.mark.parametrize("lifetime", ["300", 0, None, 1.5, -5])
async def test_any_lifetime_will_do(lifetime: Any) -> None:
    server = Server("Bearer t", token=httpx.Response(200, json={"access_token": "t", "expires_in": lifetime}))
    assert await server.client(**OAUTH).read("Patient/p1") == PATIENT


async def test_a_write_is_not_lost_when_only_the_token_did_not_come() -> None:
    note = {"resourceType": "DocumentReference"}
    server = Server(token=httpx.ReadTimeout("slow"))
    with pytest.raises(Retryable, match="ehr_token_unreachable"):
        await server.client(**OAUTH).create_once(note, "s|v")
    with pytest.raises(AnswerLost):
        await Server("Bearer t1").client(**OAUTH).create_once(note, "s|v")


@pytest.mark.parametrize(
    "auth", [{"method": "bearer", "token": "t"}, {"method": "basic", "username": "u", "password": "p"}, OAUTH]
)
async def test_no_other_host_hears_the_credentials(auth: dict[str, str]) -> None:
    server = Server()
    client = server.client(**auth)
    for url in (
        "https://store.test/a.ogg",
        "https://ehr.test/other/a.ogg",
        "https://evil.test/a.ogg",
        "https://ehr.test@evil.test/fhir/R4/Binary/1",
    ):
        with pytest.raises(NeedsPerson):
            async with client.open_audio({"url": url}):
                pass
    assert server.heard == [("store.test", None), ("ehr.test", None)]
