"""Which IP addresses audio may come from, and that no other is ever connected to, whatever a name resolves to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest

from adapters.ambient.network import Network
from adapters.ehr.addresses import guarded_session, may_be_reached
from adapters.ehr.audio import AudioSource
from service.errors import NeedsPerson, Retryable

PUBLIC = ["8.8.8.8", "52.216.0.1", "2600:1f18::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
PRIVATE = [
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "127.9.9.9", "100.64.0.1", "::1", "fd12:3456::1", "fc00::1",
    "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200",
    "168.63.129.16", "224.0.0.1", "239.1.1.1", "ff02::1", "0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1",
    "::7f00:1", "::a00:1", "fec0::1", "2001:db8::1", "2001::1", "64:ff9b:1::1", "4000::1", "2130706433", "127.1", "0x7f.0.0.1", "localhost", "",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert may_be_reached(address, private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_only_where_the_operator_says_so(address: str) -> None:
    assert not may_be_reached(address, private=False)
    assert may_be_reached(address, private=True)


@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_nobody_s_audio_comes_from(address: str) -> None:
    assert not may_be_reached(address, private=False)
    assert not may_be_reached(address, private=True)


class Store:
    """A server on loopback that counts who connects."""

    def __init__(self) -> None:
        self.connected = 0
        self.port = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Store]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsound")
        await writer.drain()
        writer.close()

    async def fetch(self, host: str, *, private: bool, base: str = "https://ehr.test/fhir") -> bytes:
        session = partial(guarded_session, ssl.create_default_context, 4, private=private)
        async with (
            httpx.AsyncClient(transport=Network(client=session)) as elsewhere,
            httpx.AsyncClient(transport=Network()) as own_host,
        ):
            listed = frozenset({f"{host}:{self.port}"})
            source = AudioSource(own_host, elsewhere, base, listed, 100, 5, own_host=own_host)
            async with source.open({"url": f"http://{host}:{self.port}/1"}) as audio:
                return b"".join([chunk async for chunk in audio.chunks])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_listed_host_with_a_private_address_is_not_connected_to(host: str) -> None:
    async with Store().open() as store:
        with pytest.raises(NeedsPerson, match="audio_address_not_public"):
            await store.fetch(host, private=False)
        assert store.connected == 0
        assert await store.fetch(host, private=True) == b"sound"
        assert store.connected == 1


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::]", "0.0.0.0"])
async def test_odd_ways_to_write_loopback_do_not_help(host: str) -> None:
    async with Store().open() as store:
        with pytest.raises((NeedsPerson, Retryable)):
            await store.fetch(host, private=False)
        assert store.connected == 0


async def test_the_ehr_s_own_host_may_be_private() -> None:
    async with Store().open() as store:
        base = f"http://127.0.0.1:{store.port}/fhir"
        assert await store.fetch("127.0.0.1", private=False, base=base) == b"sound"
