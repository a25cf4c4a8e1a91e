"""Is the visit ready for its notes? Every recording is whole, and the trigger has come."""

from __future__ import annotations

from service.errors import NotYet
from service.workflow.chart import Chart
from service.workflow.facts import look_again
from service.workflow.media import Recordings
from service.workflow.visit import Fact
from service.workflow.work import Work


async def still_awaited(work: Work, chart: Chart, recordings: Recordings) -> NotYet | None:
    """What the visit still waits for before its notes are drafted; None when nothing is missing.

    What no event has brought yet is read from the EHR at each look: finished there is finished.
    Raises NotYet when that reading brought news.
    """
    if recordings.without_content:
        await _look_at(work, recordings.without_content)
        return NotYet("media_without_content", after=30, at_most=work.notes.incomplete_wait)
    if recordings.in_progress:
        await _look_at(work, recordings.in_progress)
        return NotYet("recording_in_progress", after=min(300.0, work.notes.max_wait), at_most=work.notes.max_wait)
    if chart.ready:
        return None
    await look_again(work, work.visit.key)
    return NotYet("encounter_not_finished", after=min(300.0, work.notes.max_wait), at_most=work.notes.max_wait)


async def _look_at(work: Work, media: tuple[Fact, ...]) -> None:
    for one in media:
        await look_again(work, one.reference)
