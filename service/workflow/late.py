"""What reached the EHR after it had been looked for: a note that no step knows, a second one, or a retraction."""

from __future__ import annotations

from service.errors import NeedsPerson
from service.workflow.filed import filed_notes, identifier_of
from service.workflow.lookup import find_note
from service.workflow.retraction import is_withdrawn
from service.workflow.visit import Step
from service.workflow.work import Work


async def came_to_light(work: Work) -> list[str]:
    """The steps that must be looked at again, of those whose answer was lost at some time. Raises Retryable."""
    lost = [step for step in work.visit.steps.values() if not step.finished_at or step.attempts > 1]
    late = [step.name for step in lost if step.name.startswith("filed:") and await _stands(work, step)]
    unknown = {step.name for step in lost if not step.finished_at}
    retiring = [note for note in filed_notes(work) if f"retired:{note.key}" in unknown]
    return late + [f"retired:{note.key}" for note in retiring if await is_withdrawn(work, note)]


async def _stands(work: Work, step: Step) -> bool:
    """Unknown to its step, or twice."""
    identifier = identifier_of(work, step.name.partition(":")[2])
    try:
        found = await find_note(work, step.name, identifier)
    except NeedsPerson as refused:
        return refused.reason == "several_matches" or (refused.alarm and not step.finished_at)
    return found is not None and not step.finished_at
