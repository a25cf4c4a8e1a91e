"""Redirects on the way to the audio: each hop must be allowed like the first address, and credentials stay at the EHR."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest

from adapters.ehr.audio import AudioSource
from service.errors import NeedsPerson
from service.workflow.ports import Expired

BASE = "https://ehr.test/fhir/R4"
HOSTS = frozenset({"store.test", "other.test", "plain.test:9000"})


class Web:
    """Redirects as told, else sound. `asked` is what was asked for, and by whom: with the EHR's credentials or not."""

    def __init__(self, redirects: Mapping[str, str], status: int = 302, end: httpx.Response | None = None) -> None:
        self._redirects, self._status, self._end = redirects, status, end
        self.asked: list[tuple[str, str]] = []

    async def fetch(self, url: str) -> bytes:
        clients = [
            httpx.AsyncClient(transport=httpx.MockTransport(lambda r, by=by: self._answer(by, r)))  # type: ignore[misc]
            for by in ("ehr", "elsewhere", "own host")
        ]
        source = AudioSource(clients[0], clients[1], BASE, HOSTS, 100, 5, own_host=clients[2])
        async with source.open({"url": url}) as audio:
            return b"".join([chunk async for chunk in audio.chunks])

    def _answer(self, by: str, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        self.asked.append((by, url))
        if url in self._redirects:
            return httpx.Response(self._status, headers={"Location": self._redirects[url]})
        return self._end or httpx.Response(200, content=b"sound")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_binary_that_redirects_to_a_store_is_fetched_there_without_credentials(status: int) -> None:
    web = Web({f"{BASE}/Binary/1": "https://store.test/1?sig=x"}, status)
    assert await web.fetch("Binary/1") == b"sound"
    assert web.asked == [("ehr", f"{BASE}/Binary/1"), ("elsewhere", "https://store.test/1?sig=x")]


async def test_credentials_stay_beneath_the_base_and_never_come_back() -> None:
    web = Web(
        {
            f"{BASE}/Binary/1": "/fhir/R4/Binary/1/raw",
            f"{BASE}/Binary/1/raw": "https://ehr.test/storage/1",
            "https://ehr.test/storage/1": "https://store.test/1",
            "https://store.test/1": f"{BASE}/Patient/1",
        }
    )
    await web.fetch("Binary/1")
    assert [by for by, _ in web.asked] == ["ehr", "ehr", "own host", "elsewhere", "own host"]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("https://evil.test/", "audio_host_not_allowed"),
        ("//evil.test/", "audio_host_not_allowed"),
        ("http://169.254.169.254/latest/meta-data", "audio_host_not_allowed"),
        ("https://store.test@evil.test/", "audio_host_not_allowed"),
        ("https://ehr.test:8443/fhir/R4/Binary/1", "audio_host_not_allowed"),
        ("ftp://store.test/1", "audio_host_not_allowed"),
        ("file:///etc/passwd", "audio_host_not_allowed"),
        ("data:audio/ogg;base64,QQ==", "audio_host_not_allowed"),
        ("http://plain.test:9000/1", "audio_refused: a redirect from https to http"),
        ("http://store.test/1", "audio_refused: a redirect from https to http"),
    ],
)
@pytest.mark.parametrize("first", ["Binary/1", "https://other.test/1"])
async def test_where_a_redirect_may_not_lead(first: str, target: str, reason: str) -> None:
    asked = f"{BASE}/{first}" if first == "Binary/1" else first
    web = Web({asked: target})
    with pytest.raises(NeedsPerson, match=reason):
        await web.fetch(first)
    assert [url for _, url in web.asked] == [asked]


@pytest.mark.parametrize(
    "target", ["/fhir/R4/../admin", "/fhir/R4/%2e%2e/admin", "/fhir/R4x/1", "https://ehr.test/admin"]
)
async def test_credentials_do_not_leave_the_base_on_its_own_host(target: str) -> None:
    web = Web({f"{BASE}/Binary/1": target})
    await web.fetch("Binary/1")
    assert [by for by, _ in web.asked] == ["ehr", "own host"]


async def test_a_proxy_that_says_http_of_the_ehr_s_own_base_means_the_base() -> None:
    web = Web({f"{BASE}/Binary/1": "http://ehr.test/fhir/R4/Binary/2"})
    await web.fetch("Binary/1")
    assert web.asked[-1] == ("ehr", f"{BASE}/Binary/2")


async def test_redirects_in_a_circle_end() -> None:
    web = Web({"https://store.test/1": "https://other.test/1", "https://other.test/1": "https://store.test/1"})
    with pytest.raises(NeedsPerson, match="audio_refused: more than 5 redirects"):
        await web.fetch("https://store.test/1")
    assert len(web.asked) == 6


async def test_a_signed_url_that_the_ehr_redirected_to_may_be_over_too() -> None:
    web = Web({f"{BASE}/Binary/1": "https://store.test/1"}, end=httpx.Response(403))
    with pytest.raises(Expired):
        await web.fetch("Binary/1")
