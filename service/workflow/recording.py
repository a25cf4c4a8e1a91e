"""The recording: a Media's audio, streamed from the EHR into the ambient API."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from functools import partial

from service.errors import NotYet
from service.fhir.elements import mapping, string
from service.telemetry import ORPHANS
from service.workflow.ports import Absent
from service.workflow.visit import Fact, content_key
from service.workflow.work import Result, Work


async def ensure_recording(work: Work, interaction: str, media: Fact) -> Result:
    """`{id, media, sha256, size, channels}`. Raises NotYet while the audio is not there or not whole.

    An upload that was cut off may have left a recording behind; unknown ones are deleted before uploading again.
    """

    async def upload() -> Result:
        content = mapping(media.resource, "content") or {}
        try:
            async with work.ehr.open_audio(content) as audio:
                measured = Measured(audio.chunks)
                recording = await work.send(
                    partial(work.ambient.upload_recording, interaction, measured.chunks(), audio.content_type)
                )
        except Absent:
            raise NotYet(
                "audio_not_there", after=30, detail=media.reference, at_most=work.notes.incomplete_wait
            ) from None
        if not measured.matches(content):
            await work.send(lambda: work.ambient.delete_recording(interaction, recording.id))
            raise NotYet("audio_incomplete", after=30, detail=media.reference, at_most=work.notes.incomplete_wait)
        return {"id": recording.id, "media": media.reference, "channels": recording.channels, **measured.result()}

    async def sweep() -> None:
        known = {result.get("id") for name, result in work.results.items() if name.startswith("recording:")}
        for stray in await work.ambient.list_recordings(interaction):
            if stray not in known:
                await work.send(partial(work.ambient.delete_recording, interaction, stray))
                ORPHANS.labels("recording").inc()

    return await work.once(recording_step(media), upload, sweep)


def recording_step(media: Fact) -> str:
    return f"recording:{media.id}:{content_key(media)}"


class Measured:
    """Passes audio on and measures it: bytes, SHA-256 (our identity of it) and SHA-1 (FHIR's `Attachment.hash`)."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self._sha256 = hashlib.sha256()
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._size = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._source:
            self._sha256.update(chunk)
            self._sha1.update(chunk)
            self._size += len(chunk)
            yield chunk

    def matches(self, content: object) -> bool:
        """Whether the bytes are those that the Attachment describes, as far as it does (FHIR R4 §2.24.0.14)."""
        size, sha1 = (mapping(content) or {}).get("size"), string(content, "hash")
        if isinstance(size, int) and size != self._size:
            return False
        return sha1 is None or len(sha1) != 28 or sha1 == base64.b64encode(self._sha1.digest()).decode()

    def result(self) -> dict[str, object]:
        return {"sha256": self._sha256.hexdigest(), "size": self._size}
