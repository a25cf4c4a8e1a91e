"""Mutual TLS with the EHR over real sockets: who is shown our certificate, and who is not."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapters.ehr.certificate import Certificate
from service.ehr_settings import EhrTls
from service.errors import BadConfiguration, Retryable
from service.opening import Opening, _trusted
from service.settings import read_settings
from tests.ambient_service import logged
from tests.nodes.certificates import Authority
from tests.scratch import scratch_database

PATIENT = '{"resourceType": "Patient", "id": "p1"}'
TOKEN = '{"access_token": "t", "expires_in": 300}'


@dataclass
class Peer:
    """An HTTP server over TLS. `heard` holds, for each request: path, the client certificate's name, Authorization."""

    port: int = 0
    heard: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.split("\r\n"))}
                await reader.readexactly(int(headers.get("content-length", 0)))
                path = head.split(" ")[1]
                self.heard.append((path, _name(writer), headers.get("authorization")))
                body = {"/token": TOKEN, "/fhir/Patient/p1": PATIENT}.get(path, "OggS")
                writer.write(
                    f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nContent-Type: audio/ogg\r\n\r\n{body}".encode()
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


def _name(writer: asyncio.StreamWriter) -> str | None:
    shown = writer.get_extra_info("peercert")
    return str(dict(pair for names in shown["subject"] for pair in names)["commonName"]) if shown else None


@asynccontextmanager
async def peer(authority: Authority, demand: ssl.VerifyMode = ssl.CERT_REQUIRED) -> AsyncIterator[Peer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    context.load_cert_chain(authority.folder / "server.pem", authority.folder / "server.key")
    context.verify_mode = demand
    served = Peer()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=context)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path / "tls")
    for name in ("server", "ambient", "renewed"):
        authority.sign(name)
    return authority


def tls(authority: Authority) -> dict[str, str]:
    folder = authority.folder
    return {
        "ca_file": f"{folder}/ca.pem",
        "certificate_file": f"{folder}/ambient.pem",
        "key_file": f"{folder}/ambient.key",
    }


@asynccontextmanager
async def opened(folder: Path, port: int, **ehr: Any) -> AsyncIterator[Any]:
    given = {"base_url": f"https://127.0.0.1:{port}/fhir", "timeout": 5, **ehr}
    async with Opening.of(read_settings(database={"url": scratch_database(folder)}, ehr=given), "worker") as opening:
        yield opening.ehr(None)


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({}, None),
        ({"method": "bearer", "token": "b"}, "Bearer b"),
        ({"method": "client_secret", "client_authentication": "tls_client_auth", "client_id": "c"}, "Bearer t"),
    ],
)
async def test_the_ehr_and_its_token_endpoint_are_shown_the_certificate(
    authority: Authority, tmp_path: Path, auth: dict[str, str], header: str | None
) -> None:
    async with peer(authority) as served:
        given = {**auth, **({"token_url": f"https://127.0.0.1:{served.port}/token"} if "client_id" in auth else {})}
        async with opened(tmp_path, served.port, auth=given, tls=tls(authority)) as ehr:
            assert (await ehr.read("Patient/p1"))["id"] == "p1"
        assert served.heard[-1] == ("/fhir/Patient/p1", "ambient", header)
        assert {name for _, name, _ in served.heard} == {"ambient"}


async def test_without_the_certificate_or_its_authority_nothing_is_read(authority: Authority, tmp_path: Path) -> None:
    whole = tls(authority)
    async with peer(authority) as served:
        for lacking in ({"ca_file": whole["ca_file"]}, {k: v for k, v in whole.items() if k != "ca_file"}):
            async with opened(tmp_path, served.port, tls=lacking) as ehr:
                with pytest.raises(Retryable, match="ehr_unreachable"):
                    await ehr.read("Patient/p1")
        assert served.heard == []


async def test_no_other_place_is_shown_the_certificate(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a host of the audio list nor the EHR's host outside of its base. Both ask for one and do not insist."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    _trusted.cache_clear()
    try:
        async with peer(authority, ssl.CERT_OPTIONAL) as served, peer(authority, ssl.CERT_OPTIONAL) as store:
            own, listed = f"127.0.0.1:{served.port}", f"localhost:{store.port}"
            given = {"audio_hosts": [listed], "audio_private": True, "auth": {"method": "bearer", "token": "b"}}
            async with opened(tmp_path, served.port, tls=tls(authority), **given) as ehr:
                for url in (f"https://{own}/fhir/Binary/b1", f"https://{own}/other/a.ogg", f"https://{listed}/a.ogg"):
                    async with ehr.open_audio({"url": url, "contentType": "audio/ogg"}):
                        pass
            assert served.heard == [("/fhir/Binary/b1", "ambient", "Bearer b"), ("/other/a.ogg", None, None)]
            assert store.heard == [("/a.ogg", None, None)]
    finally:
        _trusted.cache_clear()


async def test_a_renewed_certificate_is_shown_without_a_restart(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    folder, given = authority.folder, EhrTls.model_validate(tls(authority))
    certificate = Certificate(given)

    async def shown() -> str | None:
        await certificate.look(None)  # type: ignore[arg-type]
        async with peer(authority) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=certificate.context)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
        return served.heard[0][1]

    assert await shown() == "ambient"
    shutil.copy(folder / "renewed.pem", folder / "ambient.pem")  # the key comes a moment later
    assert await shown() == "ambient"
    shutil.copy(folder / "renewed.key", folder / "ambient.key")
    assert await shown() == "renewed"
    events = [line["event"] for line in logged(caplog)]
    assert events == ["client_certificate_unusable", "client_certificate_read"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"certificate_file": None}, "KEY_FILE does nothing without"),
        ({"certificate_file": "/none"}, "CERTIFICATE_FILE=/none cannot be used: FileNotFoundError"),
        ({"key_file": None}, "CERTIFICATE_FILE=.* cannot be used: SSLError"),
        ({"ca_file": "/none"}, "CA_FILE=/none cannot be used"),
    ],
)
def test_what_cannot_be_used_is_refused_at_the_start(authority: Authority, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadConfiguration, match=words):
        Certificate(EhrTls.model_validate({**tls(authority), **changes}))


async def test_a_client_that_is_its_certificate_needs_one(tmp_path: Path) -> None:
    auth = {
        "method": "client_secret",
        "client_authentication": "tls_client_auth",
        "client_id": "c",
        "token_url": "https://x",
    }
    with pytest.raises(BadConfiguration, match="AMBIENT_EHR__TLS__CERTIFICATE_FILE"):
        async with opened(tmp_path, 1, auth=auth):
            pass
