"""Audio of a Media: inline, from the EHR's Binary, or from an allowed host; streamed and capped.

The EHR's credentials go to the EHR's own base only. Any other URL must name the EHR's host or one of the allow-list,
is fetched without credentials, and may not redirect: an event must not be able to make this service fetch an arbitrary
address.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from adapters.ehr.sending import sent
from service.errors import NeedsPerson, Retryable
from service.fhir.elements import string
from service.fhir.references import ForeignBase, parse
from service.workflow.destinations import Destination
from service.workflow.ports import Absent, Audio
from service.workflow.retry_after import retry_after

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class AudioSource:
    """`ehr` carries credentials, `elsewhere` carries none. `hosts` are `host`, meaning the scheme's own port, or
    `host:port`. `limit` in bytes; `timeout` in seconds for each chunk. `destination` is the EHR, whose host is asked for
    audio only while it is not parked."""

    ehr: httpx.AsyncClient
    elsewhere: httpx.AsyncClient
    base_url: str
    hosts: frozenset[str]
    limit: int
    timeout: float
    destination: Destination = field(default_factory=lambda: Destination("ehr"))

    @asynccontextmanager
    async def open(self, attachment: Mapping[str, Any]) -> AsyncIterator[Audio]:
        """Raises Absent, Retryable, NeedsPerson (`audio_host_not_allowed`, `audio_too_large`, `audio_refused`)."""
        content_type = string(attachment, "contentType")
        if attachment.get("data") and isinstance(attachment["data"], str):
            yield Audio(self._inline(attachment["data"]), content_type)
            return
        response = await self._ask(*self._source(string(attachment, "url") or ""))
        try:
            self._check(response)
            yield Audio(self._chunks(response), content_type or response.headers.get("Content-Type"))
        finally:
            await response.aclose()

    async def _ask(self, client: httpx.AsyncClient, url: str) -> httpx.Response:
        try:
            request = client.build_request("GET", url, headers={"Accept": "audio/*, video/*, */*;q=0.5"})
            if _host(url) == _host(self.base_url):
                return await sent(client, request, self.destination, self.timeout, stream=True, follow_redirects=False)
            async with asyncio.timeout(self.timeout):
                return await client.send(request, stream=True, follow_redirects=False)
        except httpx.InvalidURL:
            raise _not_allowed() from None
        except (TimeoutError, httpx.RequestError) as error:
            raise Retryable("audio_unreachable", type(error).__name__) from None

    def _source(self, url: str) -> tuple[httpx.AsyncClient, str]:
        try:
            own = parse(url, self.base_url)
        except ForeignBase:
            own = None
        if own is not None:
            return self.ehr, f"{self.base_url.rstrip('/')}/{own}"
        try:
            allowed = _host(url) in {
                _host(self.base_url),
                *(_host(f"{urlsplit(url).scheme}://{host}") for host in self.hosts),
            }
        except ValueError:
            allowed = False
        if not allowed:
            raise _not_allowed()
        return self.elsewhere, url

    def _check(self, response: httpx.Response) -> None:
        status, length = response.status_code, response.headers.get("Content-Length", "")
        if status in (404, 410):
            raise Absent("audio", gone=status == 410)
        if status in (408, 425, 429) or status >= 500:
            raise Retryable("audio_unavailable", str(status), after=retry_after(response.headers.get("Retry-After")))
        if not response.is_success:
            raise NeedsPerson("audio_refused", str(status))
        if "json" in response.headers.get("Content-Type", ""):
            raise NeedsPerson("audio_refused", "the server answers with JSON where audio was asked for")
        if length.isdecimal() and int(length) > self.limit:
            raise _too_large(self.limit)

    async def _chunks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        taken, source = 0, response.aiter_bytes(_CHUNK)
        while True:
            try:
                async with asyncio.timeout(self.timeout):
                    chunk = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise Retryable("audio_unreachable", "the audio stopped flowing") from None
            except (httpx.RequestError, httpx.StreamError) as error:
                raise Retryable("audio_unreachable", type(error).__name__) from None
            taken += len(chunk)
            if taken > self.limit:
                raise _too_large(self.limit)
            yield chunk

    async def _inline(self, data: str) -> AsyncIterator[bytes]:
        if len(data) * 3 // 4 > self.limit:
            raise _too_large(self.limit)
        try:
            yield base64.b64decode("".join(data.split()), validate=True)
        except ValueError:
            raise NeedsPerson("audio_refused", "Media.content.data is not base64") from None


def _host(url: str) -> tuple[str, int]:
    """Host and port of an http(s) URL. Raises ValueError for any other, and for one that carries credentials."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or "\\" in parts.netloc:
        raise ValueError("not a plain http(s) URL")
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _not_allowed() -> NeedsPerson:
    return NeedsPerson(
        "audio_host_not_allowed", "Media.content.url is neither the EHR's nor on AMBIENT_EHR__AUDIO_HOSTS"
    )


def _too_large(limit: int) -> NeedsPerson:
    return NeedsPerson("audio_too_large", f"more than {limit} bytes; the limit is AMBIENT_EHR__AUDIO_MAX")
