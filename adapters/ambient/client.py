"""The ambient API, embedded or remote, as the workflow's `Ambient` port."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from time import monotonic
from typing import Any

import httpx

from adapters.ambient import wire
from adapters.ambient.refusals import answer, failing, no_answer_is_retryable, refusal
from adapters.ambient.wire import misshapen_is_retryable
from service import __version__
from service.errors import NeedsPerson, Retryable
from service.fhir.device import Scribe
from service.telemetry import HTTP_SECONDS
from service.workflow.destinations import Destination
from service.workflow.ports import Document, Recording, Transcript
from service.workflow.retry_after import retry_after

_PAGE = 100
_RECORDING_SETTLES = 5.0
_CONNECT = 10.0


class AmbientClient:
    """Implements `service.workflow.ports.Ambient`. `http` has the `/v2` URL as its base URL, and the auth if any.

    Nothing is tried again here: a POST is not repeatable, and the workflow looks before it repeats. `timeout` seconds
    bound each call; of an upload they bound each wait for the engine, and `long_timeout` bounds the whole. httpx's own
    timeouts do not work in process. While `destination` is parked, calls raise Retryable and send nothing.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        tenant: str,
        timeout: float = 30.0,
        long_timeout: float = 600.0,
        destination: Destination | None = None,
        scribe: Scribe | None = None,
    ) -> None:
        self._http = http
        self._scribe = scribe or Scribe([("software", __version__)])
        self._headers = {"Tenant-Name": tenant}
        self._timeout = timeout
        self._long_timeout = max(long_timeout, timeout)
        self._destination = destination or Destination("engine")

    @property
    def scribe(self) -> Scribe:
        return self._scribe

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
        return next(iter(await self.find_interactions(identifier=identifier, patient=patient)), None)

    async def find_interactions(self, *, identifier: str, patient: str) -> list[str]:
        """Walks the patient's interactions from the oldest, until a page has nothing new: what is created or deleted
        meanwhile moves others from page to page, and a server may give smaller pages than it is asked for."""
        query = {
            "sort": "createdAt",
            "direction": "asc",
            "pageSize": _PAGE,
            **({"patient": patient} if patient else {}),
        }
        seen: dict[str, bool] = {}
        for page in itertools.count(1):
            answered = await self._json("GET", "interactions/", params={**query, "index": page})
            with misshapen_is_retryable():
                listed = {
                    str(one["id"]): one["encounter"]["identifier"] == identifier
                    for one in answered["interactions"] or ()
                }
            if listed.keys() <= seen.keys():
                break
            seen |= listed
        return [ident for ident, is_it in seen.items() if is_it]

    async def delete_interaction(self, interaction: str) -> None:
        await self._delete(f"interactions/{interaction}")

    async def upload_recording(
        self, interaction: str, audio: AsyncIterator[bytes], content_type: str | None
    ) -> Recording:
        """What `audio` itself raises is raised here, not the failed request that follows from it."""
        source = _Source(audio, self._timeout)
        headers = {"Content-Type": content_type or "application/octet-stream"}
        try:
            created = await self._json(
                "POST", f"interactions/{interaction}/recordings/", source, content=source, headers=headers
            )
        except NeedsPerson as error:
            if error.reason != "engine_refused" or "status 400" not in error.detail:
                raise
            raise NeedsPerson(
                "recording_refused", f"{error.detail}: the engine cannot use this audio; check its format and length"
            ) from None
        with misshapen_is_retryable():
            return Recording(str(created["recordingId"]), created.get("channels"), created.get("durationMs"))

    async def list_recordings(self, interaction: str) -> list[str]:
        return await self._list(f"interactions/{interaction}/recordings/", "recordings")

    async def delete_recording(self, interaction: str, recording: str) -> None:
        await self._delete(f"interactions/{interaction}/recordings/{recording}")

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
        for transcript in await self.list_transcripts(interaction):
            found = await self.get_transcript(interaction, transcript)
            if found is not None and found.recording_id == recording:
                return found
        return None

    async def list_transcripts(self, interaction: str) -> list[str]:
        return await self._list(f"interactions/{interaction}/transcripts/", "transcripts")

    async def delete_transcript(self, interaction: str, transcript: str) -> None:
        await self._delete(f"interactions/{interaction}/transcripts/{transcript}")

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
        """One that takes longer than a call may is Retryable, and found by its name at the next look."""
        body = {
            "context": [wire.context_item(segment) for segment in segments],
            "templateKey": template,
            "name": name,
            "outputLanguage": language,
        }
        return wire.document(await self._json("POST", f"interactions/{interaction}/documents/", json=body), template)

    async def find_document(self, interaction: str, name: str) -> Document | None:
        """The oldest of this name."""
        answered = await self._json("GET", f"interactions/{interaction}/documents/")
        with misshapen_is_retryable():
            named = [document for document in answered["data"] or () if document["name"] == name]
            oldest = min(named, key=lambda document: str(document["createdAt"]), default=None)
        return None if oldest is None else wire.document(oldest)

    async def list_documents(self, interaction: str) -> list[str]:
        return await self._list(f"interactions/{interaction}/documents/", "data")

    async def delete_document(self, interaction: str, document: str) -> None:
        await self._delete(f"interactions/{interaction}/documents/{document}")

    async def _delete(self, path: str) -> None:
        """What is not there is fine."""
        response = await self._send("DELETE", path)
        if not response.is_success and response.status_code != 404:
            raise refusal(response)

    async def _list(self, path: str, key: str) -> list[str]:
        """The ids; none where the interaction is not there."""
        response = await self._send("GET", path)
        if response.status_code == 404:
            return []
        if not response.is_success:
            raise refusal(response)
        with misshapen_is_retryable():
            return [str(one["id"] if isinstance(one, dict) else one) for one in answer(response)[key] or ()]

    async def _json(self, method: str, path: str, upload: _Source | None = None, **request: Any) -> dict[str, Any]:
        """The answer's object. Raises Retryable or NeedsPerson."""
        response = await self._send(method, path, upload, **request)
        if not response.is_success:
            raise refusal(response)
        return answer(response)

    async def _send(self, method: str, path: str, upload: _Source | None = None, **request: Any) -> httpx.Response:
        headers = {**self._headers, **request.pop("headers", {})}
        patience = httpx.Timeout(self._timeout, connect=min(self._timeout, _CONNECT))
        built = self._http.build_request(method, path, headers=headers, timeout=patience, **request)
        with no_answer_is_retryable(), self._destination.call() as call:
            began, code = monotonic(), "error"
            try:
                with failing(call, built), upload.failing_first() if upload else nullcontext():
                    async with asyncio.timeout(self._long_timeout), asyncio.timeout(self._timeout) as quiet:
                        if upload:
                            upload.quiet = quiet
                        response = await self._http.send(built)
                code = str(response.status_code)
            finally:
                HTTP_SECONDS.labels("engine", code).observe(monotonic() - began)
            call.answered(response.status_code, retry_after(response.headers.get("Retry-After")))
            return response


class _Source:
    """Audio on its way into a request.

    `quiet` is how long the engine may take no more of it and not answer: it starts anew with each chunk, and stands still
    while the other side is waited for, which has its own bounds.
    """

    def __init__(self, audio: AsyncIterator[bytes], patience: float) -> None:
        self._audio = audio
        self._patience = patience
        self.quiet = asyncio.timeout(None)
        self._failure: Exception | None = None

    @contextmanager
    def failing_first(self) -> Iterator[None]:
        """Around the request. Raises what went wrong on the side that the audio comes from, however the request ended:
        that says nothing about the engine."""
        try:
            yield
        except Exception:
            if self._failure is None:
                raise
        if self._failure is not None:
            raise self._failure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            self._wait(None)
            async for chunk in self._audio:
                self._wait(self._patience)
                yield chunk
                self._wait(None)
        except Exception as error:
            self._failure = error
            raise
        finally:
            self._wait(self._patience)

    def _wait(self, seconds: float | None) -> None:
        with suppress(RuntimeError):  # the engine has answered, and does not want the rest
            self.quiet.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)
