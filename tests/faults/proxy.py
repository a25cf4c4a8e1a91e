"""TCP links that can be cut, in a thread with a loop of its own: RST, refused, silent, slow."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

_RESET = struct.pack("ii", 1, 0)


class Link:
    """What connects to `port` is passed on to `target`, a port of this machine. Every method may be called from any thread.

    Made by `Links.add`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, target: int) -> None:
        self.name, self.port, self.cuts = name, 0, 0
        self._loop, self._target = loop, target
        self._pipes: set[_Pipe] = set()
        self._open, self._latency = asyncio.Event(), 0.0
        self._refusing = False
        self._server: asyncio.Server | None = None
        self._open.set()

    def cut(self) -> None:
        """Resets every connection; new ones are taken."""
        self._soon(self._cut)

    def refuse(self, refusing: bool = True) -> None:
        """Resets every connection, and each new one at once."""
        self._soon(self._set_refusing, refusing)

    def silence(self, silent: bool = True) -> None:
        """Connections stay and are taken, but nothing passes until the silence is over; then all of it does."""
        self._soon(self._open.clear if silent else self._open.set)

    def slow(self, seconds: float) -> None:
        """Delays whatever passes, in each direction."""
        self._soon(setattr, self, "_latency", seconds)

    def heal(self) -> None:
        self.refuse(False)
        self.silence(False)
        self.slow(0.0)

    def _soon(self, do: Callable[..., Any], *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(do, *arguments)

    def _cut(self) -> None:
        self.cuts += 1
        for pipe in list(self._pipes):
            pipe.reset()

    def _set_refusing(self, refusing: bool) -> None:
        self._refusing = refusing
        if refusing:
            self._cut()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._cut()
        if self._server:
            self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = _Pipe([writer])
        self._pipes.add(pipe)
        try:
            if self._refusing:
                return
            onward, back = await asyncio.open_connection("127.0.0.1", self._target)
            pipe.writers.append(back)
            if await _first_end(self._pass(reader, back), self._pass(onward, writer)):
                pipe.close()
        except OSError:
            pass
        finally:
            pipe.reset()
            self._pipes.discard(pipe)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True when the reader's side has closed in order."""
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                if self._latency:
                    await asyncio.sleep(self._latency)
                writer.write(data)
                await writer.drain()
            await self._open.wait()
        except OSError:
            return False
        return True


async def _first_end(*ways: Coroutine[Any, Any, bool]) -> bool:
    passing = [asyncio.create_task(way) for way in ways]
    try:
        (first, *_), _ = await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        return first.result()
    finally:
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)


@dataclass(eq=False, slots=True)
class _Pipe:
    writers: list[asyncio.StreamWriter]

    def close(self) -> None:
        """What was written is still sent."""
        for writer in self.writers:
            writer.close()
        self.writers = []

    def reset(self) -> None:
        """RST rather than FIN."""
        for writer in self.writers:
            with suppress(OSError, AttributeError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Links:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._links: list[Link] = []

    def add(self, name: str, target: int) -> Link:
        link = Link(self._loop, name, target)
        asyncio.run_coroutine_threadsafe(link.listen(), self._loop).result(10)
        self._links.append(link)
        return link

    async def close(self) -> None:
        for link in self._links:
            await link.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def proxy() -> Iterator[Links]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    links = Links(loop)
    try:
        yield links
    finally:
        asyncio.run_coroutine_threadsafe(links.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
