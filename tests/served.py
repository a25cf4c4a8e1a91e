"""A whole house on a real socket, in a thread with a loop of its own; and what a client of flesh and sockets needs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import uvloop

from service.ambient.ports import Transcriber
from service.api.serving import listening
from service.main import House, open_house
from tests.engines import ScriptedTranscriber
from tests.journey.hospital import scratch_settings

JSON = "Content-Type: application/json"


@dataclass
class Served:
    house: House
    port: int
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """In the house's own loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON answer of a request that must succeed."""
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        given = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        with urlopen(Request(self.url + path, content, given, method=method), timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def token(self, client: str, secret: str, tenant: str = "base") -> str:
        form = f"grant_type=client_credentials&client_id={client}&client_secret={secret}".encode()
        path = f"/realms/{tenant}/protocol/openid-connect/token"
        return str(self.ask("POST", path, form, Content_Type="application/x-www-form-urlencoded")["access_token"])


@contextmanager
def served(folder: Path, transcriber: Transcriber | None = None, **parts: Any) -> Iterator[Served]:
    """`parts` are settings. What goes wrong in the house's thread is raised here."""
    at: Future[Served] = Future()
    stop = asyncio.Event()

    async def serve() -> None:
        settings = scratch_settings(folder, **parts)
        async with (
            open_house(settings, transcriber=transcriber or ScriptedTranscriber()) as house,
            listening(house.app, "127.0.0.1", 0) as port,
        ):
            at.set_result(Served(house, port, asyncio.get_running_loop()))
            await stop.wait()

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(_run, serve, at)
        house = at.result()
        try:
            yield house
        finally:
            house.loop.call_soon_threadsafe(stop.set)
            running.result()


def _run(serve: Callable[[], Coroutine[Any, Any, None]], at: Future[Served]) -> None:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    except BaseException as error:
        if at.done():
            raise
        at.set_exception(error)


def request(line: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """A request with Host and Content-Length, after which the connection closes."""
    given = [f"Content-Length: {len(body) if length is None else length}"] if body or length is not None else []
    return (
        "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", "Connection: close", *given, *headers, "", ""]).encode()
        + body
    )
