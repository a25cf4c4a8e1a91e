"""The transcript: started once per recording, then looked at until it is there. Nothing waits in memory meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime

from service.errors import NeedsPerson, NotYet
from service.workflow.ports import Transcript
from service.workflow.visit import Fact, content_key
from service.workflow.work import Result, Work

_SLOWEST_LOOK = 60.0


async def start_transcript(work: Work, interaction: str, media: Fact, recording: Result) -> Result:
    """`{id}` of the transcript that was asked for; it costs money, so one that exists for the recording is adopted."""
    roles = _roles(work, recording)

    async def create() -> Result:
        await work.save()  # a recording that nobody knows is deleted, and must not have been paid for
        created = await work.send(
            lambda: work.ambient.create_transcript(
                interaction, str(recording["id"]), language=work.notes.language, multichannel=bool(roles), roles=roles
            )
        )
        return {"id": created.id}

    async def look() -> Result | None:
        found = await work.ambient.find_transcript(interaction, str(recording["id"]))
        return {"id": found.id} if found else None

    return await work.once(transcript_step(media), create, look)


def transcript_step(media: Fact) -> str:
    return f"transcript:{media.id}:{content_key(media)}"


async def finish_transcript(work: Work, interaction: str, media: Fact, started: Result) -> Result:
    """`{id, segments}` (a count) of the finished transcript. Raises NotYet with the progress while it is being made."""
    key = f"{media.id}:{content_key(media)}"

    async def finished() -> Result:
        transcript = await work.ambient.get_transcript(interaction, str(started["id"]))
        if transcript is None or transcript.status == "failed":
            await work.forget(f"transcript:{key}", f"transcribed:{key}")
        return _finished(work, key, transcript)

    return await work.once(f"transcribed:{key}", finished, only_looks=True)


def _finished(work: Work, key: str, transcript: Transcript | None) -> Result:
    if transcript is None:
        raise NeedsPerson(
            "transcript_gone", "the ambient API no longer has the transcript: retry the visit to make another"
        )
    if transcript.status == "failed":
        raise NeedsPerson(
            "transcript_failed", f"{transcript.reason or 'no reason given'}: retry the visit to make another"
        )
    if transcript.status == "processing":
        detail = "" if transcript.progress is None else f"{transcript.progress:.0%}"
        raise NotYet("transcribing", after=_next_look(work, key), detail=detail)
    return {"id": transcript.id, "segments": len(transcript.segments)}


def _next_look(work: Work, key: str) -> float:
    """Soon at first, more seldom for a recording that takes minutes."""
    step = work.visit.steps.get(f"transcript:{key}")
    running = (datetime.now(UTC) - step.started_at).total_seconds() if step else 0.0
    return min(max(running / 20, 0.05), _SLOWEST_LOOK)


def _roles(work: Work, recording: Result) -> dict[int, str]:
    """Who is on which channel: known when the recording has as many channels as the setting names speakers."""
    speakers = work.channel_roles
    if len(speakers) > 1 and recording.get("channels") == len(speakers):
        return dict(enumerate(speakers))
    return {}
