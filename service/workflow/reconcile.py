"""The documented workflow, top to bottom, once: looks at what is known about a visit and takes the next missing steps.

Runs whenever something about a visit changed or a wait is over, any number of times, on any pod, with the same end.
Raises NotYet or Retryable (the visit waits), NeedsPerson (it is parked); anything else is a bug (parked too).
"""

from __future__ import annotations

from typing import NamedTuple

from service.errors import NeedsPerson
from service.workflow.chart import Chart, clear_to_leave, right_chart
from service.workflow.document import draft_to_file, ensure_document
from service.workflow.facts import follow_encounter, look_again, read_missing, refuse_overtaken
from service.workflow.filed import content_revision
from service.workflow.filing import ensure_filed
from service.workflow.interaction import ensure_interaction
from service.workflow.media import Recordings, sort_media
from service.workflow.provenance import ensure_provenance
from service.workflow.readiness import still_awaited
from service.workflow.recording import ensure_recording
from service.workflow.retraction import (
    find_withdrawn,
    refuse_misfiled,
    retract_all,
    retract_outdated,
    retract_unsupported,
)
from service.workflow.transcript import finish_transcript, start_transcript
from service.workflow.work import Work


class Ending(NamedTuple):
    """How a visit that needs nothing more ends: `done` or `cancelled`, and why."""

    state: str
    reason: str | None = None


async def reconcile(work: Work) -> Ending:
    if not sort_media(work.visit.media).any:
        return await _nothing_to_hear(work)
    await read_missing(work)
    if not sort_media(work.visit.media).any:
        return await _nothing_to_hear(work)
    await follow_encounter(work)
    await refuse_misfiled(work)
    recordings = sort_media(work.visit.media)
    chart = await right_chart(work, recordings)
    if chart.withdrawn:
        return Ending("cancelled", chart.withdrawn)
    return await _notes(work, chart, recordings)


async def _nothing_to_hear(work: Work) -> Ending:
    """No recording is here or coming: it never was, it was withdrawn, or it belongs to another visit now.

    An event's word alone withdraws nothing that the EHR still has.
    """
    for media in work.visit.media:
        await look_again(work, media.reference)
    await retract_all(work)
    if not work.visit.encounter_id and not work.visit.facts:
        return Ending("cancelled", "moved_to_encounter")
    if work.results or any(media.status == "entered-in-error" for media in work.visit.media):
        return Ending("cancelled", "recordings_withdrawn")
    return Ending("done", "no_recording")


async def _notes(work: Work, chart: Chart, recordings: Recordings) -> Ending:
    await retract_unsupported(work)
    awaited = await still_awaited(work, chart, recordings)
    if awaited and not recordings.available:
        raise awaited
    await clear_to_leave(work, chart, recordings)
    interaction = await ensure_interaction(work, chart)
    heard = {media.reference: await ensure_recording(work, interaction, media) for media in recordings.available}
    started = {
        media.reference: await start_transcript(work, interaction, media, heard[media.reference])
        for media in recordings.available
    }
    transcripts = [
        await finish_transcript(work, interaction, media, started[media.reference]) for media in recordings.available
    ]
    if awaited:
        raise awaited
    await refuse_overtaken(work)
    await find_withdrawn(work)
    filed = []
    for template in work.notes.templates:
        revision = content_revision(template, heard.values())
        document = await ensure_document(work, interaction, template, revision, transcripts)
        draft = draft_to_file(work, interaction, template, revision, document)
        try:
            filed.append(await ensure_filed(work, chart, recordings, heard, template, revision, draft))
        except NeedsPerson:
            await refuse_misfiled(work)
            raise
    await retract_outdated(work, heard)
    for key in filed:
        await ensure_provenance(work, chart, recordings, key)
    return Ending("done")
