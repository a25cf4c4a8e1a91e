"""The doctor compares the EHR's clock with ours, by the dates of its answers."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from adapters.ehr.clock import seconds_ahead
from service.doctor import examine
from service.errors import Retryable
from tests.journey.hospital import scratch_settings

NOW = 1_800_000_000.0


def answering(**headers: str) -> httpx.AsyncClient:
    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(401, headers=headers)

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("ahead", [0, 90, -90, 7200])
async def test_the_difference_is_known_to_a_second(ahead: float) -> None:
    http = answering(Date=formatdate(NOW + ahead, usegmt=True))
    found = await seconds_ahead(http, "https://ehr.test/fhir", clock=lambda: NOW)
    assert found == pytest.approx(ahead, abs=1)


@pytest.mark.parametrize("headers", [{}, {"Date": "soon"}, {"Date": "Wed, 32 Foo 20267 00:00:00 GMT"}])
async def test_an_ehr_may_not_tell(headers: dict[str, str]) -> None:
    assert await seconds_ahead(answering(**headers), "https://ehr.test/fhir") is None


async def test_an_ehr_that_is_away_is_unreachable() -> None:
    async def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    with pytest.raises(Retryable, match="ehr_unreachable: ConnectError"):
        await seconds_ahead(httpx.AsyncClient(transport=httpx.MockTransport(fail)), "https://ehr.test/fhir")


@pytest.mark.parametrize(
    ("ahead", "fine", "words"),
    [(0, True, "the EHR's clock is"), (300, False, "ahead of ours"), (-300, False, "behind ours")],
)
async def test_case_35_the_doctor_notices_a_clock_that_is_off(
    tmp_path: Path, ahead: float, fine: bool, words: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = formatdate(time.time() + ahead, usegmt=True)
        writer.write(f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"
    findings = await examine(scratch_settings(tmp_path, ehr={"base_url": base}))
    server.close()
    (found,) = [one for one in findings if one.subject == "ehr clock"]
    assert found.ok is fine
    assert words in found.words
