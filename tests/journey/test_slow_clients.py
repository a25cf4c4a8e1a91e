"""Clients that send or take too slowly, over a real socket: they are answered 408 or cut off, and honest ones are not."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request, Response

from service.ambient.errors import install_error_handlers
from service.ambient.routing import json_body, whole_body
from service.ambient.wire.interactions import CreateInteraction
from service.api.serving import listening
from tests.served import JSON, request

pytestmark = pytest.mark.slow


@asynccontextmanager
async def impatient() -> AsyncIterator[int]:
    """A server that waits 0.3 s where the real one waits a minute."""
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/json")
    async def take_json(asked: Annotated[CreateInteraction, Depends(json_body(CreateInteraction, seconds=0.8))]) -> str:
        return asked.encounter.status

    @app.post("/audio")
    async def take_audio(request: Request) -> int:
        return len(await whole_body(request, 10**8))

    @app.get("/slow")
    async def answer_late() -> str:
        await asyncio.sleep(0.8)
        return "late"

    @app.get("/large")
    async def answer_much() -> Response:
        return Response(b"a" * 50_000_000)

    async with listening(app, "127.0.0.1", 0, patience=0.3) as port:
        yield port


async def trickle(port: int, *parts: bytes, every: float, until: bytes) -> bytes:
    """What comes back, up to `until`, when the request is sent in these parts; stops sending then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = asyncio.create_task(reader.readuntil(until))
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(every)
            if heard.done():
                break
        async with asyncio.timeout(5):
            return await heard
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("parts", "every"),
    [
        pytest.param([], 0, id="nothing at all"),
        pytest.param([b"\r\n"] * 20, 0.2, id="a line feed now and then"),
        pytest.param([b"GET / HTTP/1.1\r\nX: ", *[b"a"] * 100], 0.05, id="a slow head"),
        pytest.param([request("POST /audio", length=10)], 0, id="a body that does not come"),
        pytest.param([request("POST /audio", length=10), b"aaa"], 0, id="a body that stops"),
        pytest.param([request("POST /audio", b"", "Transfer-Encoding: chunked"), b"1;", *[b"a"] * 50], 0.05, id="an extension"),
        pytest.param([request("POST /json", b"", JSON, length=99), *[b" "] * 99], 0.1, id="a slow JSON body"),
    ],
)  # fmt: skip
async def test_a_request_that_does_not_arrive_in_time_is_ended(parts: list[bytes], every: float) -> None:
    async with impatient() as port:
        head, _, body = (await trickle(port, *parts, every=every, until=b'"}')).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["status"] == 408


async def go_on_sending(writer: asyncio.StreamWriter) -> None:
    for _ in range(20):
        await asyncio.sleep(0.1)
        writer.write(b"a")
        await writer.drain()


@pytest.mark.parametrize("sent", [b"", b"\0\r\n", request("POST /audio", length=10)], ids=["none", "nonsense", "half"])
async def test_whoever_keeps_the_connection_after_a_refusal_is_cut_off(sent: bytes) -> None:
    async with impatient() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(writer):
            writer.write(sent)
            async with asyncio.timeout(3):
                assert (await reader.read()).startswith(b"HTTP/1.1 40")
            with pytest.raises(ConnectionError):
                await go_on_sending(writer)


async def test_an_upload_may_be_slow_as_long_as_it_comes_and_an_answer_as_long_as_it_is_made() -> None:
    async with impatient() as port:
        upload = [request("POST /audio", length=10), *[b"a"] * 10]
        await asyncio.gather(
            trickle(port, *upload, every=0.1, until=b"\r\n\r\n10"),
            trickle(port, request("GET /slow"), every=0, until=b'\r\n\r\n"late"'),
        )


async def test_an_answer_that_nobody_takes_is_given_up() -> None:
    def took(port: int) -> int:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(request("GET /large"))
            time.sleep(1.2)
            size = 0
            with suppress(ConnectionResetError):
                while piece := connection.recv(10**6):
                    size += len(piece)
            return size

    async with impatient() as port:
        assert 0 < await asyncio.to_thread(took, port) < 50_000_000
