"""A host of audio on loopback: real HTTP, answered as the test says, and every request kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Body = bytes | AsyncIterator[bytes]
Answer = Callable[[str], tuple[int, dict[str, str], Body]]


@dataclass
class Store:
    """`answer` gives status, headers and body for a path. `asked` is each request's path, `heads` the same whole."""

    port: int
    answer: Answer
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            self.asked.append(head.split(" ")[1].removeprefix("/"))
            await self._send(writer, *self.answer(self.asked[-1]))
        except ConnectionError:
            pass  # the other side has heard enough
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, status: int, headers: dict[str, str], body: Body) -> None:
        given = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "Connection": "close"}.items())
        if isinstance(body, bytes):
            given += f"Content-Length: {len(body)}\r\n"
        writer.write(f"HTTP/1.1 {status} Said\r\n{given}\r\n".encode())
        if isinstance(body, bytes):
            writer.write(body)
        else:
            async for piece in body:
                writer.write(piece)
                await writer.drain()
        await writer.drain()


@asynccontextmanager
async def audio_store(answer: Answer) -> AsyncIterator[Store]:
    store = Store(0, answer)
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    store.port = server.sockets[0].getsockname()[1]
    async with server:
        yield store


def sound(content: bytes, content_type: str = "audio/ogg") -> tuple[int, dict[str, str], Body]:
    return 200, {"Content-Type": content_type}, content


def leads_to(url: str) -> tuple[int, dict[str, str], Body]:
    return 302, {"Location": url}, b""
