"""The ambient API, embedded or remote, as the workflow's `Ambient` port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from time import monotonic
from typing import Any

import httpx

from adapters.ambient import wire
from adapters.ambient.refusals import answer, no_answer_is_retryable, refusal
from adapters.ambient.wire import misshapen_is_retryable
from service.errors import NeedsPerson, Retryable
from service.telemetry import HTTP_SECONDS
from service.workflow.ports import Document, Recording, Transcript

_PAGE = 100
_RECORDING_SETTLES = 5.0
_CONNECT = 10.0


class AmbientClient:
    """Implements `service.workflow.ports.Ambient`. `http` has the `/v2` URL as its base URL, and the auth if any.

    Nothing is tried again here: a POST is not repeatable, and the workflow looks before it repeats. `timeout` seconds
    bound each call, `long_timeout` those that upload audio or write a document; httpx's own timeouts do not work in
    process.
    """

    def __init__(
        self, http: httpx.AsyncClient, *, tenant: str, timeout: float = 60.0, long_timeout: float = 600.0
    ) -> None:
        self._http = http
        self._headers = {"Tenant-Name": tenant}
        self._timeout = timeout
        self._long_timeout = max(long_timeout, timeout)

    async def template_keys(self) -> list[str]:
        answered = await self._json("GET", "templates/")
        with misshapen_is_retryable():
            return [str(template["key"]) for template in answered["data"] or ()]

    async def create_interaction(
        self, *, identifier: str, patient: str, started_at: str | None, ended_at: str | None, kind: str
    ) -> str:
        body = wire.interaction_body(identifier, patient, started_at, ended_at, kind)
        created = await self._json("POST", "interactions/", json=body)
        with misshapen_is_retryable():
            return str(created.get("interactionId") or created["id"])

    async def find_interaction(self, *, identifier: str, patient: str) -> str | None:
        """Walks the patient's interactions from the oldest, a page at a time, until an empty one."""
        query = {
            "sort": "createdAt",
            "direction": "asc",
            "pageSize": _PAGE,
            **({"patient": patient} if patient else {}),
        }
        page = 1
        while True:
            answered = await self._json("GET", "interactions/", params={**query, "index": page})
            with misshapen_is_retryable():
                found = answered["interactions"] or []
                for interaction in found:
                    if interaction["encounter"]["identifier"] == identifier:
                        return str(interaction["id"])
            if not found:
                return None
            page += 1

    async def upload_recording(
        self, interaction: str, audio: AsyncIterator[bytes], content_type: str | None
    ) -> Recording:
        """What `audio` itself raises is raised here, not the failed request that follows from it."""
        source = _Source(audio)
        headers = {"Content-Type": content_type or "application/octet-stream"}
        try:
            created = await self._json(
                "POST", f"interactions/{interaction}/recordings/", self._long_timeout, content=source, headers=headers
            )
        except Exception as error:
            if source.failure is not None:
                raise source.failure from None
            if isinstance(error, NeedsPerson) and "status 400" in error.detail:
                raise NeedsPerson(
                    "recording_refused",
                    f"{error.detail}: the engine cannot use this audio; check its format and length",
                ) from None
            raise
        with misshapen_is_retryable():
            return Recording(str(created["recordingId"]), created.get("channels"), created.get("durationMs"))

    async def list_recordings(self, interaction: str) -> list[str]:
        answered = await self._json("GET", f"interactions/{interaction}/recordings/")
        with misshapen_is_retryable():
            return [str(recording) for recording in answered["recordings"] or ()]

    async def delete_recording(self, interaction: str, recording: str) -> None:
        """One that is not there is fine."""
        response = await self._send("DELETE", f"interactions/{interaction}/recordings/{recording}")
        if not response.is_success and response.status_code != 404:
            raise refusal(response)

    async def create_transcript(
        self, interaction: str, recording: str, *, language: str, multichannel: bool, roles: Mapping[int, str]
    ) -> Transcript:
        """The cloud may not know a recording for some seconds after its upload: Retryable while it lists it."""
        body: dict[str, Any] = {
            "recordingId": recording,
            "primaryLanguage": language,
            "isMultichannel": multichannel,
            "diarize": not multichannel and not roles,
            "async": True,
        }
        if roles:
            body["participants"] = [{"channel": channel, "role": role} for channel, role in sorted(roles.items())]
        response = await self._send("POST", f"interactions/{interaction}/transcripts/", json=body)
        if response.status_code == 404 and recording in await self.list_recordings(interaction):
            raise Retryable("engine_recording_not_ready", after=_RECORDING_SETTLES)
        if not response.is_success:
            raise refusal(response)
        return wire.transcript(answer(response))

    async def find_transcript(self, interaction: str, recording: str) -> Transcript | None:
        """The list names no recordings, so each transcript is read."""
        answered = await self._json("GET", f"interactions/{interaction}/transcripts/")
        with misshapen_is_retryable():
            ids = [str(item["id"]) for item in answered["transcripts"] or ()]
        for transcript in ids:
            found = await self.get_transcript(interaction, transcript)
            if found is not None and found.recording_id == recording:
                return found
        return None

    async def get_transcript(self, interaction: str, transcript: str) -> Transcript | None:
        response = await self._send("GET", f"interactions/{interaction}/transcripts/{transcript}")
        if response.status_code == 404:
            return None
        if not response.is_success:
            raise refusal(response)
        return wire.transcript(answer(response))

    async def create_document(
        self, interaction: str, *, template: str, name: str, language: str, segments: Sequence[Mapping[str, Any]]
    ) -> Document:
        body = {
            "context": [wire.context_item(segment) for segment in segments],
            "templateKey": template,
            "name": name,
            "outputLanguage": language,
        }
        path = f"interactions/{interaction}/documents/"
        return wire.document(await self._json("POST", path, self._long_timeout, json=body), template)

    async def find_document(self, interaction: str, name: str) -> Document | None:
        """The oldest of this name."""
        answered = await self._json("GET", f"interactions/{interaction}/documents/")
        with misshapen_is_retryable():
            named = [document for document in answered["data"] or () if document["name"] == name]
            oldest = min(named, key=lambda document: str(document["createdAt"]), default=None)
        return None if oldest is None else wire.document(oldest)

    async def _json(self, method: str, path: str, timeout: float | None = None, **request: Any) -> dict[str, Any]:
        """The answer's object. Raises Retryable or NeedsPerson."""
        response = await self._send(method, path, timeout, **request)
        if not response.is_success:
            raise refusal(response)
        return answer(response)

    async def _send(self, method: str, path: str, timeout: float | None = None, **request: Any) -> httpx.Response:
        headers = {**self._headers, **request.pop("headers", {})}
        longest = timeout or self._timeout
        patience = httpx.Timeout(longest, connect=min(longest, _CONNECT))
        began, code = monotonic(), "error"
        try:
            with no_answer_is_retryable():
                async with asyncio.timeout(longest):
                    response = await self._http.request(method, path, headers=headers, timeout=patience, **request)
            code = str(response.status_code)
            return response
        finally:
            HTTP_SECONDS.labels("engine", code).observe(monotonic() - began)


class _Source:
    """Audio on its way into a request; remembers what went wrong on the side it comes from."""

    def __init__(self, audio: AsyncIterator[bytes]) -> None:
        self._audio = audio
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._audio:
                yield chunk
        except Exception as error:
            self.failure = error
            raise
