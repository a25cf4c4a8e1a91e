"""The storm: hundreds of visits while everything fails, and then the account of what was lost, doubled or left behind."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.faults.chaos import Chaos
from tests.faults.feeder import Feeder
from tests.faults.site import Site
from tests.faults.verdict import Remains, events_logged, explained, unsettled, wrongs
from tests.integration.processes import run
from tests.nodes.postgresql import PostgresNode
from tests.nodes.queue_operator import Operator
from tests.nodes.rabbitmq import RabbitNode

WORKERS = 3
LEAST_VISITS = 300
VISITS_PER_SECOND = 1.5
_SETTLED = 2.5
_PATIENCE = 150.0
"""Seconds; longer than the wait after a handful of failures in a row."""


@dataclass
class Account:
    """`wrong` is empty when the storm did no harm; `figures` in any case."""

    figures: dict[str, Any] = field(default_factory=dict)
    wrong: dict[str, Any] = field(default_factory=dict)
    explanation: str = ""

    def table(self) -> str:
        return "\n".join(f"  {name:<28} {_cell(value)}" for name, value in self.figures.items())


def _cell(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) or "none" if isinstance(value, dict) else str(value)


async def storm(site: Site, rabbitmq: RabbitNode, postgresql: PostgresNode, seconds: float, seed: int = 1) -> Account:
    """`seconds` of chaos with visits in every stage; then quiet, until all of them have ended; then the account."""
    visits = max(LEAST_VISITS, round(seconds * VISITS_PER_SECOND))
    feeder = Feeder(site.ehr, site.broker_url, seed)
    for number in range(1, WORKERS + 1):
        site.start_worker(f"worker-{number}")
    async with _meanwhile(feeder.run(visits, seconds * 0.8)) as feeding, _meanwhile(site.supervise()):
        await asyncio.sleep(_SETTLED)  # a younger quorum queue does not survive kill -9
        chaos = Chaos(site, rabbitmq, postgresql, seconds, seed)
        await chaos.run()
        healed = time.monotonic()
        await asyncio.wait_for(feeding, 120)
        await _drained(site, visits)
    figures = {"seconds": seconds, "visits": visits, **feeder.counts, **chaos.counts, "workers_ended": site.exits}
    figures["seconds_to_drain"] = round(time.monotonic() - healed, 1)
    return await _account(site, feeder.recordings, figures)


@asynccontextmanager
async def _meanwhile(going_on: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(going_on)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _drained(site: Site, visits: int) -> None:
    """Until every visit has ended, or none has for `_PATIENCE` seconds."""
    least, give_up = visits, time.monotonic() + _PATIENCE
    while time.monotonic() < give_up:
        rows = await site.rows("SELECT id, state, next_at, owner FROM visits")
        going_on = visits - len(rows) + len(unsettled(rows))
        if not going_on:
            return
        if going_on < least:
            least, give_up = going_on, time.monotonic() + _PATIENCE
        await asyncio.sleep(1)


async def _account(site: Site, recordings: dict[str, int], figures: dict[str, Any]) -> Account:
    account, remains = Account(figures), await Remains.of(site)
    for name, server in (("engine", site.engine), ("ehr", site.ehr)):
        stats = (await server.get("/_stats")).json()
        figures |= {f"{name}_{what}": stats[what] for what in ("requests", "most_at_once", "faults")}
    steps = [step for visit in remains.visits.values() for step in visit["steps"].values()]
    figures["steps"] = len(steps)
    figures["steps_in_doubt"] = sum(step["attempts"] > 1 for step in steps)
    figures["notes"] = sum(len(notes) for notes in remains.notes.values())
    figures["notes_superseded"] = sum(n["status"] == "superseded" for notes in remains.notes.values() for n in notes)
    figures["orphans_before_sweep"] = {kind: len(found) for kind, found in remains.orphans().items()}
    figures["swept"] = await swept(site)
    after = Remains(remains.visits, remains.notes, (await site.engine.get("/_census")).json())
    figures["orphans_after_sweep"] = {kind: len(found) for kind, found in after.orphans().items()}
    figures |= await _queues(site)
    figures["warnings"] = dict(events_logged(site))
    harmed = wrongs(remains, recordings)
    account.wrong = {**harmed, **{f"orphaned {kind}": found for kind, found in after.orphans().items()}}
    account.wrong |= {
        name: figures[name] for name in ("queued", "dead_letters", "dead_letters_queued") if figures[name]
    }
    account.wrong |= {"vanished": after.vanished()} if after.vanished() else {}
    account.wrong |= {name: n for name, n in figures["warnings"].items() if "unexpected_error" in name}
    account.explanation = explained(site, after, [key for keys in harmed.values() for key in keys])
    return account


async def _queues(site: Site) -> dict[str, int]:
    (letters,) = await site.rows("SELECT count(*) AS count FROM dead_letters")
    async with Operator.connect(site.broker_url) as operator:
        return {
            "queued": await operator.depth("ambient.events"),
            "dead_letters_queued": await operator.depth("ambient.events.dead"),
            "dead_letters": letters["count"],
        }


async def swept(site: Site) -> str:
    """What `ambient-fhir visits sweep --now` says: an operator does not wait for the time of a sweep."""
    settings = {f"{part}__{name}".upper(): value for part, given in site.parts.items() for name, value in given.items()}
    done = await asyncio.to_thread(run, "visits sweep --now", **settings)
    return done.stdout.strip() if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()[-500:]}"


def as_json(account: Account) -> str:
    return json.dumps(account.figures)
