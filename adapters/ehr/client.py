"""The EHR over FHIR R4 REST. One place turns statuses and lost connections into the workflow's words.

Rules: FHIR R4 §3.1.0 (http), If-None-Exist and If-Match; which statuses may pass and which never will.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from adapters.ehr.answers import body_of, filed_as, filed_each, json_of, refused
from adapters.ehr.audio import AudioSource
from adapters.ehr.sending import sent
from service.errors import NeedsPerson, Retryable
from service.fhir.capability_statement import Capabilities
from service.fhir.elements import is_id, mapping, mappings, string
from service.workflow.ports import Absent, AnswerLost, Audio, Changed, Filed
from service.workflow.retry_after import retry_after

FHIR_JSON = "application/fhir+json"
_CAPABLE_FOR = 3600.0
_MOST_FOUND = 200
_MOST_PAGES = 50
_PASSING = {408, 425, 429, 500, 503}
_LOST = set(range(500, 600)) - {500, 501, 503, 505}
"""The work may have been done behind whoever answers so."""


class EhrClient:
    """Implements `service.workflow.ports.Ehr`. `http` carries the EHR's credentials and goes nowhere else.

    Requests and `audio` share one destination, for they are one server: while it is parked, calls raise Retryable
    and send nothing.
    """

    def __init__(self, http: httpx.AsyncClient, base_url: str, name: str, timeout: float, audio: AudioSource) -> None:
        self._http = http
        self._base = base_url.rstrip("/")
        self._name = name
        self._timeout = timeout
        self._audio = audio
        self._capabilities: Capabilities | None = None
        self._capable_until = 0.0

    @property
    def base_url(self) -> str:
        return self._base

    @property
    def name(self) -> str:
        return self._name

    async def read(self, reference: str) -> dict[str, Any]:
        response = await self._ask("GET", reference)
        if response.status_code in (404, 410):
            raise Absent(reference, gone=response.status_code == 410)
        resource = body_of(self._accepted(response, reference))
        if f"{resource.get('resourceType')}/{resource.get('id')}" != reference:
            raise NeedsPerson("ehr_answered_another_resource", reference)
        return resource

    async def capabilities(self, *, afresh: bool = False) -> Capabilities:
        if self._capabilities is None or afresh or time.monotonic() > self._capable_until:
            try:
                self._capabilities = Capabilities(await self._statement(must_be_shown=afresh))
            except Retryable:
                if self._capabilities is None or afresh:
                    raise
            self._capable_until = time.monotonic() + _CAPABLE_FOR
        return self._capabilities

    async def _statement(self, *, must_be_shown: bool) -> dict[str, Any]:
        response = await self._ask("GET", "metadata")
        hidden = response.status_code in (401, 403, 404)
        return {} if hidden and not must_be_shown else body_of(self._accepted(response, "metadata"))

    async def find(self, resource_type: str, identifier: str) -> list[dict[str, Any]]:
        """Only what really has the identifier: a lenient server ignores parameters that it does not know."""
        system, _, value = identifier.partition("|")
        found = await self.search(resource_type, {"identifier": identifier})
        return [r for r in found if any(_names(i, system, value) for i in mappings(r, "identifier"))]

    async def search(self, resource_type: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        page: str | None = f"{resource_type}?{query}"
        found: list[dict[str, Any]] = []
        for _ in range(_MOST_PAGES):
            if page is None or len(found) >= _MOST_FOUND:
                break
            bundle = body_of(self._accepted(await self._ask("GET", page), resource_type))
            resources = (mapping(entry, "resource") for entry in mappings(bundle, "entry"))
            found += [r for r in resources if r and r.get("resourceType") == resource_type and is_id(r.get("id"))]
            page = self._next_page(bundle)
        if page:
            raise _incomplete(resource_type)
        return found

    def _next_page(self, bundle: Mapping[str, Any]) -> str | None:
        """Beneath our own base only: the credentials go nowhere else. A proxy's scheme is not held against a server."""
        links = (string(link, "url") for link in mappings(bundle, "link") if link.get("relation") == "next")
        url = next((link for link in links if link), None)
        if url is None:
            return None
        absolute = url if "://" in url else f"{self._base}/{url.removeprefix('/')}"
        beneath = f"//{self._base.partition('://')[2]}"
        if not f"//{absolute.partition('://')[2]}".startswith((f"{beneath}/", f"{beneath}?")):
            raise _incomplete("a search")
        return absolute.partition("://")[2].removeprefix(beneath.removeprefix("//")).removeprefix("/")

    async def create_once(self, resource: Mapping[str, Any], identifier: str) -> Filed:
        kind = str(resource["resourceType"])
        response = await self._tell(
            "POST", kind, resource, {"If-None-Exist": f"identifier={quote(identifier, safe='')}"}
        )
        if response.status_code == 412:
            raise NeedsPerson("several_matches", f"several {kind} carry the note's identifier: delete all but one")
        return filed_as(self._accepted(response, kind), kind)

    async def create(self, resource: Mapping[str, Any]) -> Filed:
        kind = str(resource["resourceType"])
        return filed_as(self._accepted(self._carried_out_or_not(await self._tell("POST", kind, resource)), kind), kind)

    async def transact(self, bundle: Mapping[str, Any]) -> list[Filed]:
        response = self._carried_out_or_not(await self._tell("POST", "", bundle))
        return filed_each(json_of(self._accepted(response, "the transaction")) or {}, bundle)

    async def update(self, resource: Mapping[str, Any], version: str | None) -> Filed:
        reference = f"{resource['resourceType']}/{resource['id']}"
        if version and not is_id(version):
            raise NeedsPerson("version_unreadable", f"{reference} has a versionId that is not a FHIR id")
        headers = {"If-Match": f'W/"{version}"'} if version else {}
        response = await self._tell("PUT", reference, resource, headers)
        if response.status_code in (404, 410):
            raise Absent(reference, gone=response.status_code == 410)
        if response.status_code in (409, 412):
            raise Changed(reference)
        return filed_as(self._accepted(response, reference), str(resource["resourceType"]), reference)

    @asynccontextmanager
    async def open_audio(self, attachment: Mapping[str, Any]) -> AsyncIterator[Audio]:
        async with self._audio.open(attachment) as audio:
            yield audio

    async def _ask(self, method: str, path: str) -> httpx.Response:
        """A request that changes nothing and may be repeated at will."""
        try:
            return await self._request(method, path, headers={"Accept": FHIR_JSON})
        except (TimeoutError, httpx.RequestError) as error:
            raise Retryable("ehr_unreachable", type(error).__name__) from None

    async def _tell(
        self, method: str, path: str, resource: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """A request that changes something. Raises AnswerLost when it may have been carried out."""
        sent = {"Accept": FHIR_JSON, "Content-Type": FHIR_JSON, "Prefer": "return=minimal", **(headers or {})}
        try:
            response = await self._request(method, path, headers=sent, content=orjson.dumps(resource))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Retryable("ehr_unreachable", type(error).__name__) from None
        except httpx.RequestError as error:
            raise AnswerLost(type(error).__name__) from None
        except TimeoutError:
            raise AnswerLost("TimeoutError") from None
        if response.status_code in _LOST:
            raise AnswerLost(str(response.status_code))
        if response.status_code == 202:
            raise NeedsPerson("accepted_not_filed", f"the EHR holds {path} for review (202)")
        return response

    async def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        between = "/" if path and not path.startswith("?") else ""
        built = self._http.build_request(method, f"{self._base}{between}{path}", **request)
        return await sent(self._http, built, self._audio.destination, self._timeout)

    def _accepted(self, response: httpx.Response, what: str) -> httpx.Response:
        if response.is_success:
            return response
        if response.status_code in _PASSING | _LOST:
            raise Retryable(
                "ehr_unavailable", str(response.status_code), after=retry_after(response.headers.get("Retry-After"))
            )
        raise refused(response, what)

    def _carried_out_or_not(self, response: httpx.Response) -> httpx.Response:
        """What is sent without a condition must not be sent again after a failure inside the server, or a gateway's word that
        it took too long. One that wishes to be asked later has not begun. Raises AnswerLost."""
        status = response.status_code
        if status in (408, 500) or (status == 503 and "Retry-After" not in response.headers):
            raise AnswerLost(str(response.status_code))
        return response


def _incomplete(what: str) -> NeedsPerson:
    """What stands on pages that were not read may be what decides."""
    return NeedsPerson(
        "ehr_search_incomplete",
        f"{what}: more than {_MOST_FOUND} resources or {_MOST_PAGES} pages, or its next page is on another server",
    )


def _names(identifier: Mapping[str, Any], system: str, value: str) -> bool:
    return identifier.get("system") == system and identifier.get("value") == value
