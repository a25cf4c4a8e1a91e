"""Is the visit ready for its notes? Every recording is whole, and the trigger has come."""

from __future__ import annotations

from service.errors import NotYet
from service.workflow.chart import Chart
from service.workflow.facts import learn, read_fact
from service.workflow.media import Recordings
from service.workflow.ports import Absent
from service.workflow.work import Work


async def still_awaited(work: Work, chart: Chart, recordings: Recordings) -> NotYet | None:
    """What the visit still waits for before its notes are drafted; None when nothing is missing.

    An Encounter that no event has finished yet is read from the EHR at each wake: finished there is finished.
    """
    if recordings.without_content:
        return NotYet("media_without_content", after=30, at_most=work.notes.incomplete_wait)
    if recordings.in_progress:
        return NotYet("recording_in_progress", after=300, at_most=work.notes.max_wait)
    if chart.ready:
        return None
    if await _changed_in_ehr(work):
        return NotYet("changed_meanwhile", after=0, at_most=work.notes.incomplete_wait)
    return NotYet("encounter_not_finished", after=min(300.0, work.notes.max_wait), at_most=work.notes.max_wait)


async def _changed_in_ehr(work: Work) -> bool:
    try:
        return await learn(work, await read_fact(work, work.visit.key))
    except Absent:
        return False
