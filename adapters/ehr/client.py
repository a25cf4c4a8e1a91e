"""The EHR over FHIR R4 REST. One place turns statuses and lost connections into the workflow's words.

Rules: FHIR R4 §3.1.0 (http), If-None-Exist and If-Match; which statuses may pass and which never will.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from adapters.ehr.audio import AudioSource
from adapters.ehr.sending import sent
from service.errors import NeedsPerson, Retryable
from service.fhir.capability_statement import Capabilities
from service.fhir.elements import element, is_id, mapping, mappings, string
from service.fhir.operation_outcome import outcome_words
from service.workflow.ports import Absent, AnswerLost, Audio, Changed, Filed
from service.workflow.retry_after import retry_after

FHIR_JSON = "application/fhir+json"
_CAPABLE_FOR = 3600.0
_MOST_FOUND = 200
_PASSING = {408, 425, 429, 500, 503}
_LOST = {502, 504, *range(520, 528)}
_LOCATION = re.compile(
    r"(?:^|/)(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?/?$"
)
_ETAG = re.compile(r'(?:W/)?"(?P<version>[^"]{1,64})"')


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
        resource = _body(self._accepted(response, reference))
        if f"{resource.get('resourceType')}/{resource.get('id')}" != reference:
            raise NeedsPerson("ehr_answered_another_resource", reference)
        return resource

    async def capabilities(self, *, afresh: bool = False) -> Capabilities:
        if self._capabilities is None or afresh or time.monotonic() > self._capable_until:
            response = await self._ask("GET", "metadata")
            hidden = response.status_code in (401, 403, 404)
            statement = {} if hidden and not afresh else _body(self._accepted(response, "metadata"))
            self._capabilities = Capabilities(statement)
            self._capable_until = time.monotonic() + _CAPABLE_FOR
        return self._capabilities

    async def find(self, resource_type: str, identifier: str) -> list[dict[str, Any]]:
        """Only what really has the identifier: a lenient server ignores parameters that it does not know."""
        system, _, value = identifier.partition("|")
        found = await self.search(resource_type, {"identifier": identifier})
        return [r for r in found if any(_names(i, system, value) for i in mappings(r, "identifier"))]

    async def search(self, resource_type: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        page: str | None = f"{resource_type}?{query}"
        found: list[dict[str, Any]] = []
        while page and len(found) < _MOST_FOUND:
            bundle = _body(self._accepted(await self._ask("GET", page), resource_type))
            resources = (mapping(entry, "resource") for entry in mappings(bundle, "entry"))
            found += [r for r in resources if r and r.get("resourceType") == resource_type and is_id(r.get("id"))]
            page = self._next_page(bundle)
        return found[:_MOST_FOUND]

    def _next_page(self, bundle: Mapping[str, Any]) -> str | None:
        """On our own base only: the credentials go nowhere else."""
        links = (string(link, "url") for link in mappings(bundle, "link") if link.get("relation") == "next")
        url = next((link for link in links if link), None)
        return url.removeprefix(f"{self._base}/") if url and url.startswith(f"{self._base}/") else None

    async def create_once(self, resource: Mapping[str, Any], identifier: str) -> Filed:
        kind = str(resource["resourceType"])
        headers = {"If-None-Exist": f"identifier={quote(identifier, safe='')}", "Prefer": "return=minimal"}
        response = await self._tell("POST", kind, resource, headers)
        if response.status_code == 412:
            raise NeedsPerson("several_matches", f"several {kind} carry the note's identifier: delete all but one")
        return _filed(self._accepted(response, kind), kind)

    async def create(self, resource: Mapping[str, Any]) -> Filed:
        kind = str(resource["resourceType"])
        return _filed(
            self._accepted(await self._tell("POST", kind, resource, {"Prefer": "return=minimal"}), kind), kind
        )

    async def transact(self, bundle: Mapping[str, Any]) -> list[Filed]:
        response = self._accepted(await self._tell("POST", "", bundle, {"Prefer": "return=minimal"}), "transaction")
        return _filed_each(_parsed(response) or {}, bundle)

    async def update(self, resource: Mapping[str, Any], version: str | None) -> Filed:
        reference = f"{resource['resourceType']}/{resource['id']}"
        if version and not is_id(version):
            raise NeedsPerson("version_unreadable", f"{reference} has a versionId that is not a FHIR id")
        headers = {"Prefer": "return=minimal", **({"If-Match": f'W/"{version}"'} if version else {})}
        response = await self._tell("PUT", reference, resource, headers)
        if response.status_code in (404, 410):
            raise Absent(reference, gone=response.status_code == 410)
        if response.status_code in (409, 412):
            raise Changed(reference)
        return _filed(self._accepted(response, reference), str(resource["resourceType"]), reference)

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
        self, method: str, path: str, resource: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx.Response:
        """A request that changes something. Raises AnswerLost when it may have been carried out."""
        sent = {"Accept": FHIR_JSON, "Content-Type": FHIR_JSON, **headers}
        try:
            response = await self._request(method, path, headers=sent, content=orjson.dumps(resource))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Retryable("ehr_unreachable", type(error).__name__) from None
        except httpx.RequestError as error:
            if not str(error.request.url).startswith(self._base):
                raise Retryable("ehr_token_unreachable", type(error).__name__) from None
            raise AnswerLost(type(error).__name__) from None
        except TimeoutError:
            raise AnswerLost("TimeoutError") from None
        if response.status_code in _LOST:
            raise AnswerLost(str(response.status_code))
        if response.status_code == 202:
            raise NeedsPerson("accepted_not_filed", f"the EHR holds {path} for review (202)")
        return response

    async def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        built = self._http.build_request(method, f"{self._base}/{path}" if path else self._base, **request)
        return await sent(self._http, built, self._audio.destination, self._timeout)

    def _accepted(self, response: httpx.Response, what: str) -> httpx.Response:
        if response.is_success:
            return response
        if response.status_code in _PASSING | _LOST:
            raise Retryable(
                "ehr_unavailable", str(response.status_code), after=retry_after(response.headers.get("Retry-After"))
            )
        words = outcome_words(_body(response))
        raise NeedsPerson("ehr_refused", f"{response.status_code} for {what}" + (f": {words}" if words else ""))


def _body(response: httpx.Response) -> dict[str, Any]:
    parsed = _parsed(response)
    if parsed is not None:
        return parsed
    if response.is_success:
        raise Retryable("ehr_answer_not_fhir", f"{response.status_code} without a JSON object")
    return {}


def _parsed(response: httpx.Response) -> dict[str, Any] | None:
    """The body as a JSON object; None for anything else, which gateways answer with any status."""
    try:
        parsed = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _filed(response: httpx.Response, kind: str, reference: str | None = None) -> Filed:
    """From the body, the Location (absolute, relative, with or without history) or the ETag, whichever the server sent.

    `reference` is what was written, where that is known beforehand.
    """
    body = _parsed(response) or {}
    written = body if element(body, "resourceType") == kind and is_id(body.get("id")) else {}
    location, version = _located(response, kind)
    reference = reference or (f"{kind}/{written['id']}" if written else location)
    if reference is None:
        raise AnswerLost("the answer does not say which resource was written")
    etag = _ETAG.fullmatch(response.headers.get("ETag", "").strip())
    version = string(written, "meta", "versionId") or (etag["version"] if etag else None) or version
    return Filed(reference, version if is_id(version) else None, created=response.status_code == 201)


def _filed_each(answer: Mapping[str, Any], bundle: Mapping[str, Any]) -> list[Filed]:
    """What a transaction-response says of each entry (FHIR R4 §3.1.0.11.2). Raises AnswerLost where it does not say."""
    responses = [mapping(entry, "response") or {} for entry in mappings(answer, "entry")]
    kinds = [str(element(entry, "resource", "resourceType")) for entry in mappings(bundle, "entry")]
    if len(responses) != len(kinds):
        raise AnswerLost("the answer does not say which resources were written")
    return [_filed_entry(response, kind) for response, kind in zip(responses, kinds, strict=True)]


def _filed_entry(response: Mapping[str, Any], kind: str) -> Filed:
    match = _LOCATION.search(string(response, "location") or "")
    if match is None or match["type"] != kind or not is_id(match["id"]):
        raise AnswerLost("the answer does not say which resources were written")
    etag = _ETAG.fullmatch((string(response, "etag") or "").strip())
    version = (etag["version"] if etag else None) or match["version"]
    created = (string(response, "status") or "").startswith("201")
    return Filed(f"{kind}/{match['id']}", version if is_id(version) else None, created)


def _located(response: httpx.Response, kind: str) -> tuple[str | None, str | None]:
    """Reference and version that Location names, if it is of this kind."""
    match = _LOCATION.search(response.headers.get("Location", "").strip())
    if match is None or match["type"] != kind or not is_id(match["id"]):
        return None, None
    return f"{kind}/{match['id']}", match["version"]


def _names(identifier: Mapping[str, Any], system: str, value: str) -> bool:
    return identifier.get("system") == system and identifier.get("value") == value
