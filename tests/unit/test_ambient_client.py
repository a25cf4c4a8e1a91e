"""What the client makes of a remote engine's answers, and what it sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from adapters.ambient.client import AmbientClient
from adapters.ambient.in_process import InProcess
from adapters.oauth.client_credentials import ClientCredentials
from service.errors import NeedsPerson, Retryable

PRIVATE = {"requestid": "r", "status": 400, "type": "A0018", "detail": "Mrs. Hale has a cough"}


def client_of(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> AmbientClient:
    transport = httpx.MockTransport(answer)
    return AmbientClient(httpx.AsyncClient(transport=transport, base_url="https://e.test/v2", **options), tenant="t1")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_passing_failure_is_retryable(status: int) -> None:
    with pytest.raises(Retryable, match=f"status {status}") as failed:
        await client_of(lambda _: httpx.Response(status, json=PRIVATE)).list_recordings("i")
    assert failed.value.after is None


async def test_the_wish_of_the_other_side_for_a_pause_is_passed_on() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for value, least, most in (("7", 7, 7), (soon, 55, 60), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0)):
        with pytest.raises(Retryable) as failed:
            await client_of(lambda _, v=value: httpx.Response(503, headers={"Retry-After": v})).list_recordings("i")
        assert failed.value.after is not None
        assert least <= failed.value.after <= most


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_no_answer_is_retryable(error: type[httpx.RequestError]) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("10.0.0.1 refused")

    with pytest.raises(Retryable) as failed:
        await client_of(fail).list_recordings("i")
    assert "10.0.0.1" not in str(failed.value)


async def test_while_the_engine_wants_to_be_left_alone_nothing_is_sent_to_it() -> None:
    asked: list[httpx.Request] = []

    def busy(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429, headers={"Retry-After": "7"})

    client = client_of(busy)
    with pytest.raises(Retryable, match="engine_unavailable: status 429"):
        await client.list_recordings("i")
    for call in (client.list_documents("i"), client.find_interaction(identifier="v", patient="p"), client.delete_interaction("i")):  # fmt: skip
        with pytest.raises(Retryable, match="engine_parked") as refused:
            await call
        assert refused.value.parked == "engine"
        assert refused.value.after == pytest.approx(7, abs=1)
    assert len(asked) == 1


@pytest.mark.parametrize(("error", "calls"), [(httpx.ConnectError, 1), (httpx.ReadTimeout, 3), (httpx.ReadError, 3)])
async def test_an_engine_that_is_down_is_left_alone(error: type[httpx.RequestError], calls: int) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("down")

    client = client_of(fail)
    for _ in range(calls):
        with pytest.raises(Retryable, match=r"engine_unreachable|engine_timeout"):
            await client.list_recordings("i")
    with pytest.raises(Retryable, match="engine_parked"):
        await client.list_recordings("i")


async def test_refusals_and_what_the_audios_side_breaks_say_nothing_against_the_engine() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"OggS"
        raise Retryable("audio_unreachable")

    async def listening(request: httpx.Request) -> httpx.Response:
        await request.aread()
        return httpx.Response(422)

    client = client_of(listening)  # type: ignore[arg-type]
    for _ in range(5):
        with pytest.raises(NeedsPerson, match="status 422"):
            await client.list_recordings("i")
        with pytest.raises(Retryable, match="audio_unreachable"):
            await client.upload_recording("i", broken(), None)


async def test_a_token_endpoint_that_is_down_does_not_park_the_engine() -> None:
    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    client = authenticated(down)  # type: ignore[arg-type]
    for _ in range(5):
        with pytest.raises(Retryable, match="engine_unreachable"):
            await client.list_recordings("i")


async def test_a_refusal_needs_a_person_who_learns_the_status_and_type_but_no_detail() -> None:
    with pytest.raises(NeedsPerson) as refused:
        await client_of(lambda _: httpx.Response(400, json=PRIVATE)).list_recordings("i")
    assert str(refused.value) == "engine_refused: status 400 A0018"


@pytest.mark.parametrize("kind", ["Mrs. Hale", "Hale", "hale", 7, None, "x" * 100])
async def test_a_type_that_is_no_code_is_left_out(kind: Any) -> None:
    with pytest.raises(NeedsPerson) as refused:
        await client_of(lambda _: httpx.Response(403, json={"type": kind})).list_recordings("i")
    assert str(refused.value) == "engine_refused: status 403"


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"null", b'{"recordings": 7}', b"{}", b"[" * 100_000])
async def test_an_answer_that_is_not_the_apis_is_retryable(content: bytes) -> None:
    with pytest.raises(Retryable, match="engine_answer_unreadable"):
        await client_of(lambda _: httpx.Response(200, content=content)).list_recordings("i")


async def test_a_redirect_is_a_refusal() -> None:
    with pytest.raises(NeedsPerson, match="status 307"):
        await client_of(lambda _: httpx.Response(307, headers={"Location": "/"})).list_recordings("i")


@pytest.mark.parametrize("created", [{"interactionId": "a", "id": "b"}, {"id": "a"}])
async def test_the_id_of_an_interaction_is_read_under_either_name(created: dict[str, str]) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=created)

    made = await client_of(answer).create_interaction(
        identifier="visit-1", patient="p1", started_at="2026-01-01T09:00:00Z", ended_at=None, kind="emergency"
    )
    assert made == "a"
    assert str(sent[0].url) == "https://e.test/v2/interactions/"
    assert sent[0].headers["Tenant-Name"] == "t1"
    assert json.loads(sent[0].content) == {
        "encounter": {
            "identifier": "visit-1",
            "status": "in-progress",
            "type": "emergency",
            "period": {"startedAt": "2026-01-01T09:00:00Z"},
        },
        "patient": {"identifier": "p1"},
    }


async def test_a_recording_that_the_engine_lists_but_does_not_know_yet_is_worth_waiting_for() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404) if request.method == "POST" else httpx.Response(200, json={"recordings": ["r1"]})

    create = client_of(answer).create_transcript
    with pytest.raises(Retryable, match="engine_recording_not_ready"):
        await create("i", "r1", language="en", multichannel=False, roles={})
    with pytest.raises(NeedsPerson, match="status 404"):
        await create("i", "r2", language="en", multichannel=False, roles={})


async def test_one_mixed_channel_is_diarized_unless_its_speakers_are_named() -> None:
    sent: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        body = {"id": "t", "recordingId": "r", "status": "processing", "transcripts": None, "metadata": {}}
        return httpx.Response(202, json=body)

    create = client_of(answer).create_transcript
    await create("i", "r", language="en", multichannel=False, roles={})
    await create("i", "r", language="en", multichannel=False, roles={0: "multiple"})
    assert [body["diarize"] for body in sent] == [True, False]
    assert [body.get("participants") for body in sent] == [None, [{"channel": 0, "role": "multiple"}]]
    assert all(body["async"] for body in sent)


async def test_our_extras_are_sent_only_when_the_transcript_carried_them() -> None:
    sent: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        sections = [{"key": "b", "name": "B", "text": "", "sort": 1}, {"key": "a", "name": "A", "text": "x", "sort": 0}]
        body = {"id": "d", "name": "n", "templateRef": "0f6e", "outputLanguage": "en", "sections": sections}
        return httpx.Response(201, json=body)

    wire = {"text": "a", "channel": 0, "participant": 0, "speakerId": -1, "start": 0, "end": 5}
    ours = {**wire, "id": "s0", "role": "doctor", "words": []}
    document = await client_of(answer).create_document(
        "i", template="corti-soap", name="n", language="en", segments=[wire, ours]
    )
    data = [item["data"] for item in sent[0]["context"]]
    assert data == [wire, {**wire, "id": "s0", "role": "doctor"}]
    assert document.template == "corti-soap"
    assert [section.key for section in document.sections] == ["a", "b"]
    assert list(document.sections[0].evidence) == []


async def test_a_call_in_process_is_bounded_in_time_and_keeps_failures_and_context_on_its_side() -> None:
    app, leaked = FastAPI(), ContextVar("leaked", default=False)

    @app.get("/interactions/{interaction}/recordings/")
    async def recordings(interaction: str) -> dict[str, list[str]]:
        leaked.set(True)
        if interaction == "slow":
            await asyncio.sleep(60)
        if interaction == "broken":
            raise RuntimeError("private")
        return {"recordings": []}

    async with httpx.AsyncClient(transport=InProcess(app), base_url="http://e.test") as http:
        client = AmbientClient(http, tenant="base", timeout=0.1)
        assert await client.list_recordings("good") == []
        assert leaked.get() is False
        with pytest.raises(Retryable, match="engine_timeout"):
            await client.list_recordings("slow")
        with pytest.raises(Retryable, match="status 500"):
            await client.list_recordings("broken")


class TokenServer:
    """Gives tokens `t1`, `t2`, …; the API accepts those in `good`."""

    def __init__(self, good: set[str]) -> None:
        self.good = good
        self.given = 0
        self.status = 200

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            assert "Tenant-Name" not in request.headers
            await asyncio.sleep(0.01)
            self.given += 1
            return httpx.Response(self.status, json={"access_token": f"t{self.given}", "expires_in": 300})
        accepted = request.headers["Authorization"].removeprefix("Bearer ") in self.good
        return httpx.Response(200 if accepted else 401, json={"recordings": []} if accepted else None)


def authenticated(server: TokenServer, now: Callable[[], float] = lambda: 0.0) -> AmbientClient:
    return client_of(
        server, auth=ClientCredentials("https://login.test/token", "c", "s", scope="openid", whose="engine", now=now)
    )  # type: ignore[arg-type]


async def test_one_token_serves_many_requests_at_once() -> None:
    client = authenticated(server := TokenServer({"t1"}))
    await asyncio.gather(*(client.list_recordings("i") for _ in range(10)))
    assert server.given == 1


async def test_a_token_is_renewed_ahead_of_its_end() -> None:
    time = [0.0]
    client = authenticated(server := TokenServer({"t1", "t2"}), lambda: time[0])
    for moment, given in ((0, 1), (239, 1), (241, 2)):
        time[0] = moment
        await client.list_recordings("i")
        assert server.given == given


async def test_a_token_that_is_refused_is_renewed_once() -> None:
    client = authenticated(server := TokenServer({"t2"}))
    assert await client.list_recordings("i") == []
    server.good = set()
    with pytest.raises(NeedsPerson, match="status 401"):
        await client.list_recordings("i")
    assert server.given == 3


@pytest.mark.parametrize(("status", "outcome"), [(401, NeedsPerson), (400, NeedsPerson), (503, Retryable)])
async def test_a_token_endpoint_that_says_no(status: int, outcome: type[Exception]) -> None:
    server = TokenServer({"t1"})
    server.status = status
    with pytest.raises(outcome):
        await authenticated(server).list_recordings("i")
