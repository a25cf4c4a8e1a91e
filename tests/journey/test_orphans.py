"""What lost answers leave at the ambient API is swept: all of it, nothing else, and not too early."""

from __future__ import annotations

from typing import Any

from prometheus_client import REGISTRY

from service.errors import Retryable
from service.workflow.orphans import sweep_all
from tests.journey.hospital import Hospital
from tests.journey.test_lost_answers import LosesOneAnswer


class ForgetsToTell(LosesOneAnswer):
    """Its first answer is lost, and what was done cannot be found yet: it arrives after the look."""

    def __init__(self, port: Any, call: str, find: str, none: Any) -> None:
        super().__init__(port, call, Retryable("engine_timeout"))
        self._find, self._none = find, none

    def __getattr__(self, name: str) -> Any:
        if name != self._find or self.calls != 1:
            return super().__getattr__(name)

        async def find(*args: Any, **options: Any) -> Any:
            return self._none

        return find


async def sweep(hospital: Hospital, *, early: bool = True) -> dict[str, int]:
    house = hospital.house
    return dict(await sweep_all(house.leases, house.settings.worker, house.work_on, early=early))


async def visit_with(hospital: Hospital, call: str, find: str, none: Any = None) -> str:
    """A visit that is done, of which the engine holds something twice; the interaction's id."""
    hospital.house.ambient = ForgetsToTell(hospital.house.ambient, call, find, none)
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("waiting", reason="engine_timeout")
    await hospital.house.visits.retry_visit("Encounter/e1")
    hospital.house.wake.set()
    visit = await hospital.until("done")
    return str(next(step["result"]["id"] for step in visit["steps"] if step["name"] == "interaction"))


def orphans(kind: str) -> float:
    return REGISTRY.get_sample_value("ambient_orphans_total", {"kind": kind}) or 0.0


async def test_a_transcript_that_was_made_twice_is_left_once(hospital: Hospital) -> None:
    interaction = await visit_with(hospital, "create_transcript", "find_transcript")
    engine, before = hospital.house.ambient, orphans("transcript")
    assert len(await engine.list_transcripts(interaction)) == 2
    assert await sweep(hospital) == {"transcript": 1}
    assert len(await engine.list_transcripts(interaction)) == 1
    assert orphans("transcript") == before + 1
    assert await sweep(hospital) == {}


async def test_a_document_that_was_made_twice_is_left_once(hospital: Hospital) -> None:
    interaction = await visit_with(hospital, "create_document", "find_document")
    known = [s["result"]["id"] for s in (await hospital.visit())["steps"] if s["name"].startswith("document:")]
    assert await sweep(hospital) == {"document": 1}
    assert await hospital.house.ambient.list_documents(interaction) == known


async def test_a_recording_that_was_made_twice_is_left_once(hospital: Hospital) -> None:
    interaction = await visit_with(hospital, "upload_recording", "list_recordings", [])
    assert await sweep(hospital) == {"recording": 1}
    assert len(await hospital.house.ambient.list_recordings(interaction)) == 1


async def test_nothing_is_swept_before_what_was_sent_has_arrived(hospital: Hospital) -> None:
    await visit_with(hospital, "create_transcript", "find_transcript")
    assert await sweep(hospital, early=False) == {}
    assert await sweep(hospital) == {"transcript": 1}


async def test_a_visit_that_lost_no_answer_is_not_asked_about(hospital: Hospital) -> None:
    await hospital.tell(await hospital.admit(), await hospital.record())
    await hospital.until("done")
    hospital.house.ambient = None  # type: ignore[assignment] # whoever asked it would fail
    assert await sweep(hospital) == {}


async def test_an_engine_that_does_not_answer_is_asked_again_later(hospital: Hospital) -> None:
    await visit_with(hospital, "create_transcript", "find_transcript")
    engine = hospital.house.ambient
    hospital.house.ambient = Down()  # type: ignore[assignment]
    assert await sweep(hospital) == {}
    hospital.house.ambient = engine
    assert await sweep(hospital) == {"transcript": 1}
    visit = await hospital.visit()
    assert (visit["state"], visit["nextAt"]) == ("done", None)


class Down:
    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            raise Retryable("engine_unreachable")

        return call
