"""Audio of a Media: inline, from the EHR's Binary, or from an allowed host; streamed, and capped in bytes and in time.

The EHR's credentials go to the EHR's own base only. Any other URL must name the EHR's host or one of the allow-list and
is fetched without credentials, and so is whatever a redirect names: an event must not be able to make this service fetch
an arbitrary address.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from adapters.ehr.addresses import Addresses, AddressRefused, Hop, host_of
from adapters.ehr.receiving import Bounds, audio_of, in_uri, inline, received
from adapters.ehr.sending import sent
from service.errors import NeedsPerson, Retryable
from service.fhir.elements import string
from service.workflow.destinations import Destination
from service.workflow.ports import Absent, Audio, Expired
from service.workflow.retry_after import retry_after

_MOST_REDIRECTS = 5
_ASKED = {"Accept": "audio/*, video/*, */*;q=0.5", "Accept-Encoding": "identity"}
# What S3, Google Cloud Storage and their likes answer with 400 to a URL whose time is over; as a rule it is 403.
_TIME_IS_OVER = re.compile(rb"<Code>\s*(AccessDenied|ExpiredToken|InvalidToken|RequestExpired|MalformedHeader)\s*</")


@dataclass(frozen=True, slots=True)
class AudioSource:
    """`ehr` carries credentials, `elsewhere` and `own_host` carry none. `elsewhere` is for the listed hosts, and makes no
    connection to an address that is not public; None for `own_host` means that it serves the EHR's host too.

    `hosts` are `host`, meaning the scheme's own port, or `host:port`. `limit` in bytes; `timeout` in seconds for each
    chunk, `longest` for all of them. `destination` is the EHR, whose host is asked for audio only while it is not parked.
    """

    ehr: httpx.AsyncClient
    elsewhere: httpx.AsyncClient
    base_url: str
    hosts: frozenset[str]
    limit: int
    timeout: float
    destination: Destination = field(default_factory=lambda: Destination("ehr"))
    longest: float = 300.0
    own_host: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def open(self, attachment: Mapping[str, Any]) -> AsyncIterator[Audio]:
        """Raises Absent, Expired, Retryable, NeedsPerson (`audio_host_not_allowed`, `audio_address_not_public`,
        `audio_too_large`, `audio_refused`)."""
        content_type, bounds = string(attachment, "contentType"), Bounds(self.limit, self.timeout, self.longest)
        data, url = attachment.get("data"), attachment.get("url")
        if isinstance(data, str) and data:
            yield inline(data, content_type, bounds)
        elif isinstance(url, str) and url[:5].lower() == "data:":
            yield in_uri(url, content_type, bounds)
        else:
            response = await self._follow(string(attachment, "url") or "", bounds)
            try:
                yield await audio_of(response, content_type, bounds)
            finally:
                await response.aclose()

    async def _follow(self, url: str, bounds: Bounds) -> httpx.Response:
        """The answer with the audio, through redirects each of which must be allowed like the first address."""
        addresses = Addresses(self.base_url, self.hosts)
        hop = addresses.first(url)
        for _ in range(_MOST_REDIRECTS + 1):
            response = await self._ask(hop)
            try:
                if not response.has_redirect_location:
                    await self._check(response, hop, bounds)
                    return response
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()
            hop = addresses.after(hop, response.headers["Location"])
        raise NeedsPerson("audio_refused", f"more than {_MOST_REDIRECTS} redirects")

    async def _ask(self, hop: Hop) -> httpx.Response:
        client = {"ehr": self.ehr, "own_host": self.own_host or self.elsewhere, "elsewhere": self.elsewhere}[hop.by]
        try:
            request = client.build_request("GET", hop.url, headers=_ASKED)
            if host_of(hop.url) == host_of(self.base_url):
                return await sent(client, request, self.destination, self.timeout, stream=True, follow_redirects=False)
            async with asyncio.timeout(self.timeout):
                return await client.send(request, stream=True, follow_redirects=False)
        except httpx.InvalidURL:
            raise NeedsPerson("audio_host_not_allowed", "Media.content.url is not a URL") from None
        except (TimeoutError, httpx.RequestError) as error:
            if any(isinstance(cause, AddressRefused) for cause in _causes(error)):
                raise _not_public() from None
            raise Retryable("audio_unreachable", type(error).__name__) from None

    async def _check(self, response: httpx.Response, hop: Hop, bounds: Bounds) -> None:
        status = response.status_code
        if hop.by != "ehr" and (status in (403, 410) or (status == 400 and await _time_is_over(response, bounds))):
            raise Expired(str(status))
        if status in (404, 410):
            raise Absent("audio", gone=status == 410)
        if status in (408, 425, 429) or status >= 500:
            raise Retryable("audio_unavailable", str(status), after=retry_after(response.headers.get("Retry-After")))
        if not response.is_success:
            raise NeedsPerson("audio_refused", str(status))


async def _time_is_over(response: httpx.Response, bounds: Bounds) -> bool:
    said = await anext(received(response, bounds), b"")
    return _TIME_IS_OVER.search(said) is not None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _not_public() -> NeedsPerson:
    return NeedsPerson(
        "audio_address_not_public",
        "a host of AMBIENT_EHR__AUDIO_HOSTS has a private address; see AMBIENT_EHR__AUDIO_PRIVATE",
    )
