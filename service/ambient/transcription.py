"""Transcription as leased work: recognisers of any process take queued transcripts, and those of a process that died."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import structlog

from service.ambient.ports import Blobs, Segment, SpeechRequest, Transcriber, audio_key
from service.ambient.spoken_text import Wording, worded
from service.ambient.store import Claim, TranscriptQueue
from service.errors import BadAudio, LostLease
from service.stopping import ended

log = structlog.get_logger()

POLL_SECONDS = 1.0
LEASE_SECONDS = 20.0
"""How long a killed process's transcript waits. Six renewals fail, or 17 s of standing still pass, before one is lost."""

RENEW_SECONDS = 3.0
STOP_SECONDS = 10.0
MAX_ATTEMPTS = 3


class Bell:
    """Wakes whoever listens in this process. Listen first, then look, then wait: nothing rings unheard."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    def listen(self) -> asyncio.Event:
        return self._rung


async def heard(rung: asyncio.Event, seconds: float) -> None:
    """Returns when it rings, at the latest after `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await rung.wait()


class Interrupted(Exception):
    """The process is to stop: another one takes the transcript up from the beginning."""


class Recognisers:
    """`created` is rung by whoever adds a transcript; `ended` rings when one of this process ends."""

    def __init__(
        self, store: TranscriptQueue, blobs: Blobs, transcriber: Transcriber, count: int, lease_seconds: float
    ) -> None:
        self.created = Bell()
        self.ended = Bell()
        self._store = store
        self._blobs = blobs
        self._transcriber = transcriber
        self._lease = lease_seconds
        self._stopping = asyncio.Event()
        self._threads = ThreadPoolExecutor(max(count, 1), thread_name_prefix="recogniser")

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        store: TranscriptQueue,
        blobs: Blobs,
        transcriber: Transcriber,
        count: int,
        lease_seconds: float = LEASE_SECONDS,
    ) -> AsyncIterator[Recognisers]:
        """`count` recordings at once, until leaving; what is unfinished then goes back to the queue. 0: none here."""
        self = cls(store, blobs, transcriber, count, lease_seconds)
        workers = [asyncio.create_task(self._work()) for _ in range(count)]
        try:
            yield self
        finally:
            self._stopping.set()
            self.created.ring()
            await ended(*workers, within=STOP_SECONDS + 1.0)
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        while not self._stopping.is_set():
            rung = self.created.listen()
            if not await self._took_one():
                await heard(rung, POLL_SECONDS)

    async def _took_one(self) -> bool:
        try:
            claim = await self._store.claim_transcript(uuid4().hex, self._lease)
            if claim is None:
                return False
            await self._recognise(claim)
        except Exception:
            log.exception("recogniser_failed")
            return False
        return True

    async def _recognise(self, claim: Claim) -> None:
        transcript, started = claim.transcript, monotonic()
        try:
            reason, segments = await self._outcome(claim)
        except LostLease:
            log.warning("transcript_lease_lost", transcript=transcript.id, attempt=claim.attempt)
            return
        except Interrupted:
            await self._store.release_transcript(claim)
            return
        if reason:
            await self._store.fail_transcript(claim, reason)
        else:
            await self._store.complete_transcript(claim, segments)
        self.ended.ring()
        log.info("transcript_ended", transcript=transcript.id, reason=reason, seconds=round(monotonic() - started, 1))

    async def _outcome(self, claim: Claim) -> tuple[str | None, list[Segment]]:
        """Why it failed, or what was said. One that keeps killing its process is given up."""
        if claim.attempt > MAX_ATTEMPTS:
            log.error("transcript_given_up", transcript=claim.transcript.id, attempt=claim.attempt)
            return "internal_error", []
        try:
            return None, await self._listen(claim)
        except BadAudio as error:
            return error.reason, []
        except FileNotFoundError:
            return "recording_deleted", []
        except (LostLease, Interrupted):
            raise
        except Exception:
            log.exception("transcription_failed", transcript=claim.transcript.id)
            return "internal_error", []

    async def _listen(self, claim: Claim) -> list[Segment]:
        """Runs the transcriber in a thread of its own and keeps the lease meanwhile. Raises LostLease, Interrupted."""
        stop, heard_up_to = threading.Event(), _Progress(claim.transcript.progress)
        async with self._blobs.as_file(audio_key(claim.transcript.recording_id)) as audio:
            future = asyncio.get_running_loop().run_in_executor(
                self._threads, self._heard, audio, claim, heard_up_to.tell, stop.is_set
            )
            try:
                await self._keep_until_done(claim, future, heard_up_to)
            finally:
                stop.set()
                await asyncio.wait({future}, timeout=STOP_SECONDS)
                future.add_done_callback(_retrieve)
            return future.result()

    def _heard(
        self, audio: Path, claim: Claim, tell: Callable[[float], None], stopped: Callable[[], bool]
    ) -> list[Segment]:
        segments = self._transcriber.transcribe(audio, _request(claim), tell, stopped)
        return worded(segments, Wording.from_options(claim.transcript.options))

    async def _keep_until_done(self, claim: Claim, future: asyncio.Future[list[Segment]], progress: _Progress) -> None:
        every, stopping = min(RENEW_SECONDS, self._lease / 3), asyncio.create_task(self._stopping.wait())
        ends: set[asyncio.Future[Any]] = {future, stopping}
        try:
            while not (await asyncio.wait(ends, timeout=every, return_when=asyncio.FIRST_COMPLETED))[0]:
                await self._keep(claim, progress)
        finally:
            stopping.cancel()
        if not future.done():
            raise Interrupted

    async def _keep(self, claim: Claim, progress: _Progress) -> None:
        try:
            kept = await self._store.keep_transcript(claim, progress.value, self._lease)
        except Exception:
            log.exception("transcript_lease_not_renewed", transcript=claim.transcript.id)
            return
        if not kept:
            raise LostLease


class _Progress:
    """Told by the transcriber's thread, read by the event loop."""

    def __init__(self, value: float) -> None:
        self.value = value

    def tell(self, value: float) -> None:
        self.value = min(max(value, 0.0), 1.0)


def _request(claim: Claim) -> SpeechRequest:
    transcript = claim.transcript
    roles = {participant["channel"]: participant["role"] for participant in transcript.participants or ()}
    keyterms = tuple((transcript.options or {}).get("keyterms", ()))
    return SpeechRequest(transcript.language, transcript.multichannel, roles, keyterms)


def _retrieve(future: asyncio.Future[list[Segment]]) -> None:
    """A failure of an abandoned run has been dealt with; asyncio need not report it."""
    if not future.cancelled():
        future.exception()
