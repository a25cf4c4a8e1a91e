"""The other side did what was asked and its answer never came: the next run looks before it repeats."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from service.errors import Retryable
from service.workflow.ports import AnswerLost
from tests.journey.hospital import Hospital


class LosesOneAnswer:
    """A port whose `call` is carried out, and whose first answer is lost."""

    def __init__(self, port: Any, call: str, error: Exception) -> None:
        self._port, self._call, self._error = port, call, error
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        plain = getattr(self._port, name)
        return self._losing(plain) if name == self._call else plain

    def _losing(self, plain: Any) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            if self._call == "create_once" and args[0]["resourceType"] != "DocumentReference":
                return await plain(*args, **options)
            self.calls += 1
            answer = await plain(*args, **options)
            if self.calls == 1:
                raise self._error
            return answer

        return call


def adopted(step: str) -> float:
    return REGISTRY.get_sample_value("ambient_step_adopted_total", {"step": step}) or 0.0


async def until_done_after_a_failure(hospital: Hospital) -> dict[str, Any]:
    await hospital.until("waiting", reason="engine_timeout")
    await hospital.house.visits.retry_visit("Encounter/e1")
    hospital.house.wake.set()
    return await hospital.until("done")


@pytest.mark.parametrize(
    ("call", "step", "is_adopted"),
    [("create_interaction", "interaction", True), ("upload_recording", "recording", False), ("create_transcript", "transcript", True), ("create_document", "document", True)],
)  # fmt: skip
async def test_the_engine_is_asked_for_each_thing_once(
    hospital: Hospital, call: str, step: str, is_adopted: bool
) -> None:
    before, engine = adopted(step), hospital.house.ambient
    losing = LosesOneAnswer(engine, call, Retryable("engine_timeout"))
    hospital.house.ambient = losing
    await hospital.tell(await hospital.admit(), await hospital.record())
    visit = await until_done_after_a_failure(hospital)
    results = {entry["name"].split(":")[0]: entry["result"] for entry in visit["steps"]}
    assert await engine.find_interaction(identifier=visit["id"], patient="Patient/p1") == results["interaction"]["id"]
    assert await engine.list_recordings(results["interaction"]["id"]) == [results["recording"]["id"]]
    assert adopted(step) == before + is_adopted
    assert losing.calls == (1 if is_adopted else 2)
    assert len(await hospital.notes()) == 1


async def test_a_note_whose_answer_was_lost_is_found_and_not_filed_again(hospital: Hospital) -> None:
    before = adopted("filed")
    losing = LosesOneAnswer(hospital.house.ehr, "create_once", AnswerLost("ReadTimeout"))
    hospital.house.ehr = losing
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("waiting", reason="answer_lost")
    await hospital.house.visits.retry_visit("Encounter/e1")
    hospital.house.wake.set()
    await hospital.until("done")
    assert losing.calls == 1
    assert adopted("filed") == before + 1
    assert [note["status"] for note in await hospital.notes()] == ["current"]


async def test_a_retraction_whose_answer_was_lost_is_not_taken_for_a_persons_edit(hospital: Hospital) -> None:
    media = await hospital.record()
    await hospital.tell(await hospital.admit(), media)
    await hospital.until("done")
    wrong = await hospital.put({**media, "status": "entered-in-error"})
    hospital.house.ehr = LosesOneAnswer(hospital.house.ehr, "update", AnswerLost("ReadTimeout"))
    await hospital.tell(wrong)
    await hospital.until("waiting", reason="answer_lost")
    await hospital.house.visits.retry_visit("Encounter/e1")
    hospital.house.wake.set()
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert [note["status"] for note in await hospital.notes()] == ["entered-in-error"]


async def test_a_note_whose_answer_was_lost_is_taken_back_as_well(hospital: Hospital) -> None:
    media = await hospital.record()
    hospital.house.ehr = LosesOneAnswer(hospital.house.ehr, "create_once", AnswerLost("ReadTimeout"))
    await hospital.tell(await hospital.admit(), media)
    await hospital.until("waiting", reason="answer_lost")
    await hospital.tell(await hospital.put({**media, "status": "entered-in-error"}))
    await hospital.until("cancelled", reason="recordings_withdrawn")
    assert [note["status"] for note in await hospital.notes()] == ["entered-in-error"]


async def test_a_transcript_that_is_said_to_be_in_the_making_again_is_not_paid_for_twice(hospital: Hospital) -> None:
    engine = hospital.house.ambient
    slipping = SlipsBack(engine)
    hospital.house.ambient = slipping
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("waiting", reason="transcript_not_readable")
    await hospital.house.visits.retry_visit("Encounter/e1")
    hospital.house.wake.set()
    await hospital.until("done")
    assert slipping.slipped
    assert slipping.asked_for == 1


class SlipsBack:
    """An engine that once calls a finished transcript unfinished, right after it was looked at."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._seen = False
        self.slipped = False
        self.asked_for = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def create_transcript(self, *args: Any, **options: Any) -> Any:
        self.asked_for += 1
        return await self._engine.create_transcript(*args, **options)

    async def get_transcript(self, *args: Any) -> Any:
        found = await self._engine.get_transcript(*args)
        if self._seen and not self.slipped:
            self.slipped = True
            return replace(found, status="processing", segments=())
        self._seen = found.status == "completed"
        return found
