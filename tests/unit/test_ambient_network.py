"""The clients over real sockets: long uploads, and connections that are lost half-way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from adapters.ambient.client import AmbientClient
from adapters.ambient.in_process import InProcess
from adapters.ambient.network import Network
from adapters.ehr.audio import AudioSource
from adapters.ehr.client import EhrClient
from service.errors import NeedsPerson, Retryable
from service.workflow.destinations import Destination
from service.workflow.ports import AnswerLost

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CREATED = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{"recordingId":"r"}'
PATIENCE = 0.5
CHUNK = bytes(256 * 1024)


@asynccontextmanager
async def served(serve: Server) -> AsyncIterator[str]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**16)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


@asynccontextmanager
async def engine(serve: Server, destination: Destination | None = None) -> AsyncIterator[AmbientClient]:
    async with served(serve) as url, httpx.AsyncClient(transport=Network(), base_url=url) as http:
        yield AmbientClient(http, tenant="base", timeout=PATIENCE, destination=destination)


async def to_the_end(reader: asyncio.StreamReader, slow_pieces: int = 0) -> None:
    """Reads a chunked body, slowly at first."""
    piece = tail = b"begin"
    while piece and not tail.endswith(b"0\r\n\r\n"):
        piece = await reader.read(2**16)
        tail = (tail + piece)[-5:]
        await asyncio.sleep(0.01 if slow_pieces > 0 else 0)
        slow_pieces -= 1


async def audio(chunks: int, pause: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        await asyncio.sleep(pause)
        yield CHUNK


async def take_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await to_the_end(reader, slow_pieces=128)
    writer.write(CREATED)
    await writer.drain()


async def test_an_upload_may_take_longer_than_one_wait_while_the_engine_takes_it_slowly() -> None:
    began = asyncio.get_running_loop().time()
    async with engine(take_slowly) as client:
        assert (await client.upload_recording("i", audio(60), None)).id == "r"
    assert asyncio.get_running_loop().time() - began > 2 * PATIENCE


async def test_an_upload_may_take_longer_than_one_wait_while_the_audio_comes_slowly() -> None:
    async with engine(take_slowly) as client:
        assert (await client.upload_recording("i", audio(2, pause=1.5 * PATIENCE), None)).id == "r"


async def take_a_little(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(1000)
    await asyncio.sleep(10)


async def answer_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await to_the_end(reader)
    await asyncio.sleep(10)


@pytest.mark.parametrize(("serve", "chunks"), [(take_a_little, 80), (answer_nothing, 2)])
async def test_an_engine_that_stops_during_an_upload_is_not_waited_for(serve: Server, chunks: int) -> None:
    async with engine(serve) as client, asyncio.timeout(6 * PATIENCE):
        with pytest.raises(Retryable, match="engine_timeout"):
            await client.upload_recording("i", audio(chunks), None)


async def test_an_engine_that_refuses_an_upload_before_its_end_is_heard() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 9\r\n\r\n")
        await writer.drain()
        await to_the_end(reader)

    destination = Destination("engine")
    async with engine(refuse, destination) as client:
        with pytest.raises(Retryable, match="engine_unavailable: status 503"):
            await client.upload_recording("i", audio(8, pause=0.05), None)
        with pytest.raises(Retryable, match="engine_parked"):
            await client.list_recordings("i")
    assert 8 < destination.reopens_in <= 9


async def swallow(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await to_the_end(reader)


@pytest.mark.parametrize("failure", [Retryable("audio_unreachable"), NeedsPerson("audio_too_large")])
@pytest.mark.parametrize("in_process", [False, True])
async def test_audio_that_breaks_off_says_nothing_about_the_engine(failure: Exception, in_process: bool) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield CHUNK
        raise failure

    async def take(_: dict[str, Any], receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    destination = Destination("engine")
    async with served(swallow) as url:
        transport = InProcess(take) if in_process else Network()
        async with httpx.AsyncClient(transport=transport, base_url=url) as http:
            client = AmbientClient(http, tenant="base", timeout=5, destination=destination)
            for _ in range(4):
                with pytest.raises(type(failure)) as raised:
                    await client.upload_recording("i", broken(), None)
                assert raised.value is failure
    assert destination.reopens_in == 0


async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(1000)


async def test_a_create_whose_connection_is_lost_may_have_been_carried_out() -> None:
    async with served(hang_up) as url, httpx.AsyncClient(transport=Network()) as http:
        ehr = EhrClient(http, url, "ehr", 5, AudioSource(http, http, url, frozenset(), 100, 5))
        with pytest.raises(AnswerLost, match="ReadError"):
            await ehr.create_once({"resourceType": "DocumentReference"}, "s|v")


CREATED_NOTE = b"HTTP/1.1 201 Created\r\nLocation: DocumentReference/1\r\n"
NOT_HTTP = {
    "no status line": b"I am not HTTP\r\n\r\n",
    "a header line that is too long": CREATED_NOTE + b"X: " + b"x" * 9000 + b"\r\nContent-Length: 0\r\n\r\n",
    "a bad size of a chunk": CREATED_NOTE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "a bad length": CREATED_NOTE + b"Content-Length: -5\r\n\r\nhello",
    "a bad header": CREATED_NOTE + b"X\0Y: 1\r\nContent-Length: 0\r\n\r\n",
    "a status in no known letters": b"HTTP/1.1 201 \xff\r\nContent-Length: 0\r\n\r\n",
    "a body that is cut short": CREATED_NOTE + b"Content-Length: 100\r\n\r\nhello",
}


@pytest.mark.parametrize("said", NOT_HTTP.values(), ids=NOT_HTTP)
async def test_an_answer_that_is_not_http_is_no_answer(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(2**16)
        writer.write(said)
        await writer.drain()

    ehr_is, engine_is = Destination("ehr"), Destination("engine")
    async with served(answer) as url, httpx.AsyncClient(transport=Network(), base_url=url) as http:
        ehr = EhrClient(http, url, "ehr", 5, AudioSource(http, http, url, frozenset(), 100, 5, ehr_is))
        with pytest.raises(Retryable, match=r"ehr_unreachable: (RemoteProtocol|Read)Error$"):
            await ehr.read("Patient/p1")
        with pytest.raises(AnswerLost, match=r"(RemoteProtocol|Read)Error$"):
            await ehr.create_once({"resourceType": "DocumentReference"}, "s|v")
        with pytest.raises(Retryable, match="ehr_unreachable"):
            await ehr.find("DocumentReference", "s|v")
        engine = AmbientClient(http, tenant="base", timeout=5, destination=engine_is)
        for _ in range(3):
            with pytest.raises(Retryable, match="engine_unreachable"):
                await engine.list_recordings("i")
    assert min(ehr_is.reopens_in, engine_is.reopens_in) > 0


async def test_a_connection_that_is_reset_within_an_answer_had_carried_the_request() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(2**16)
        writer.write(CREATED_NOTE + b"Content-Length: 100\r\n\r\nhello")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async with served(reset) as url, httpx.AsyncClient(transport=Network()) as http:
        ehr = EhrClient(http, url, "ehr", 5, AudioSource(http, http, url, frozenset(), 100, 5))
        with pytest.raises(AnswerLost, match="ReadError"):
            await ehr.create_once({"resourceType": "DocumentReference"}, "s|v")


async def test_a_port_that_nobody_listens_on_parks_the_ehr_at_the_first_call() -> None:
    async with served(hang_up) as url, httpx.AsyncClient(transport=Network()) as http:
        pass
    async with httpx.AsyncClient(transport=Network()) as http:
        ehr = EhrClient(http, url, "ehr", 5, AudioSource(http, http, url, frozenset(), 100, 5))
        with pytest.raises(Retryable, match="ehr_unreachable: ConnectError"):
            await ehr.read("Patient/p1")
        with pytest.raises(Retryable, match="ehr_parked"):
            await ehr.read("Patient/p1")
