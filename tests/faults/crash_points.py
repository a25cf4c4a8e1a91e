"""A process that kills itself with SIGKILL at one point of a visit's work, and the visit that it works on.

The points of a step are made from `service.workflow.steps.STEPS`: before and after its side effect, and before and after
the commit of its result. Which call is a step's side effect is said in `EFFECTS`, which must name every step.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Engine, Pool, event

from service.workflow.steps import STEPS, kind_of
from service.workflow.visit import Progress, Settlement, Taken, Visit

Json = dict[str, Any]
EFFECTS = {
    "interaction": "create_interaction",
    "recording": "upload_recording",
    "transcript": "create_transcript",
    "transcribed": "get_transcript",
    "document": "create_document",
    "content": "create of a Binary",
    "filed": "create_once of a DocumentReference",
    "device": "create_once of a Device",
    "provenance": "create of a Provenance",
    "retired": "update of a DocumentReference",
}
"""Calls of the two ports; of those that write to the EHR, for which resource."""
MOMENTS = ("before the effect", "after the effect", "before the commit", "after the commit")
STATEMENTS = {"intake": "INSERT INTO deliveries", "claim": "fence=(visits.fence + "}
"""What a transaction is known by that is not a step's."""

LEDGERED = ("filed", "retired")
"""Their writes are noted in a commit of their own before they are sent."""

POINTS = [
    *(f"{commit}: {moment}" for commit in STATEMENTS for moment in MOMENTS[2:]),
    *(f"{step}: {moment}" for step in STEPS for moment in MOMENTS),
    *(f"{step}: {moment}" for step in LEDGERED for moment in ("before the ledger", "after the ledger")),
]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Fatal:
    """A port in whose `call` the process dies, before or after it is carried out."""

    port: Any
    call: str
    before: bool

    def __getattr__(self, name: str) -> Any:
        plain = getattr(self.port, name)
        call, _, kind = self.call.partition(" of a ")
        if name != call:
            return plain

        async def fatal(*arguments: Any, **options: Any) -> Any:
            if kind and arguments[0]["resourceType"] != kind:
                return await plain(*arguments, **options)
            if self.before:
                die()
            await plain(*arguments, **options)
            die()
            raise AssertionError("killed, and still here")

        return fatal


@dataclass(frozen=True, slots=True)
class FatalLedger:
    """The store of visits, in which the process dies around the commit that notes the write of a step before it is sent."""

    visits: Any
    step: str
    before: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.visits, name)

    async def save(self, visit: Visit, taken: Any, intents: Any, writes: Any) -> None:
        here = any(kind_of(step) == self.step for step in writes)
        if here and self.before:
            die()
        await self.visits.save(visit, taken, intents, writes)
        if here:
            die()


@dataclass(frozen=True, slots=True)
class FatalCommit:
    """The store of visits, in which the process dies around the commit that has the result of a step."""

    visits: Any
    step: str
    before: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.visits, name)

    async def save(self, visit: Visit, taken: Any, *rest: Any) -> None:
        await self._around(taken, self.visits.save(visit, taken, *rest))

    async def settle(self, visit: Visit, settlement: Settlement, progress: Progress) -> None:
        await self._around(progress.taken, self.visits.settle(visit, settlement, progress))

    async def _around(self, taken: Sequence[Taken], commit: Any) -> None:
        here = any(one.result is not None and kind_of(one.name) == self.step for one in taken)
        if here and self.before:
            die()
        await commit
        if here:
            die()


def visit_until_killed(parts: Mapping[str, Any], phases: list[list[Json]], point: str | None) -> None:
    """Tells of the resources of each phase and waits until the visit is done; dies at the point, if there is one."""
    import gc

    import uvloop

    from service.settings import read_settings
    from service.telemetry import configure_logging

    gc.disable()
    settings = read_settings(**parts)
    configure_logging(settings.log)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_visit(settings, phases, point))


async def _visit(settings: Any, phases: list[list[Json]], point: str | None) -> None:
    from service.main import open_house

    async with open_house(settings, "serve") as house:
        if point:
            _arm(house, point)
        for resources in phases:
            for resource in resources:
                await house.broker.publish(
                    orjson.dumps(resource), routing_key=f"fhir.{resource['resourceType']}.update",
                    content_type="application/fhir+json", message_id="", headers={},
                )  # fmt: skip
            await _until_done(house, resources)


async def _until_done(house: Any, resources: list[Json]) -> None:
    encounter = next(_encounter_of(resource) for resource in resources)
    while True:
        shown = await house.visits.show_visit(encounter)
        if shown and shown["state"] == "done" and shown["nextAt"] is None:
            return
        await asyncio.sleep(0.05)


def _encounter_of(resource: Json) -> str:
    return resource["encounter"]["reference"] if "encounter" in resource else f"Encounter/{resource['id']}"


def _arm(house: Any, point: str) -> None:
    place, _, moment = point.partition(": ")
    before = "before" in moment
    if place in STATEMENTS:
        die_around_a_commit(STATEMENTS[place], before)
    elif "ledger" in moment:
        house.leases = FatalLedger(house.leases, place, before)
    elif "commit" in moment:
        house.leases = FatalCommit(house.leases, place, before)
    else:
        side = "ehr" if " of a " in EFFECTS[place] else "ambient"
        setattr(house, side, Fatal(getattr(house, side), EFFECTS[place], before))


def die_around_a_commit(statement: str, before: bool) -> None:
    """Of a transaction in which such a statement was executed. After it, a connection is handed back to its pool."""
    seen = []

    def executed(connection: Any, cursor: Any, text: str, *_: Any) -> None:
        if statement in text:
            seen.append(text)

    def ended(*_: Any) -> None:
        if seen:
            die()

    event.listen(Engine, "before_cursor_execute", executed)
    event.listen(*((Engine, "commit", ended) if before else (Pool, "checkin", ended)))
