"""Any order and repetition of facts, wake-ups, failures and crashes: what must always hold, and where a visit comes to rest."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import text

from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from adapters.database.visits import SqlVisits
from service.ehr_settings import Ehr
from service.events.delivery import Delivery
from service.events.event import Event, Origin, from_pointer, from_resource
from service.fhir.profile import load_profile
from service.settings import read_settings
from service.workflow.plan import plan
from service.workflow.run import run
from service.workflow.visit import visit_id
from service.workflow.work import Addressee, Work
from tests.journey.visit_world import BASE, Chart, Crash, Engine, Fault, Faults, FaultyVisits, said
from tests.scratch import scratch_database

ENCOUNTERS, MEDIA, PATIENTS = ("e1", "e2"), ("m1", "m2"), ("p1", "p2")
FAULTS = ("fails", "loses", "dies before", "dies after")
MEMORY = Path("/dev/shm")
LEASE = 600.0
PERHAPS_FAULT = st.none() | st.tuples(st.integers(1, 24), st.sampled_from(FAULTS))
RUNS = st.sampled_from([0, 1, 3, 6])


def rarely(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The usual one, twice as often as all others together."""
    return st.sampled_from([usual] * 2 * len(others) + list(others))


class VisitMachine(RuleBasedStateMachine):
    """Rules change the EHR, tell of it or not, let time pass, arm a fault, and run what is due."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.settings = read_settings(database={"url": scratch_database(self.folder)})
        self.faults = Faults()
        self.ehr, self.engine = Chart(self.faults), Engine(self.faults)
        self.interactions: dict[str, str] = {}
        self.loop, self.stack = asyncio.Runner(), AsyncExitStack()
        self.database = self.loop.run(self.stack.enter_async_context(Database.connect(self.settings.database)))
        for patient in PATIENTS:
            self.ehr.put(f"Patient/{patient}", {})

    @initialize(finished=st.booleans(), runs=RUNS, fault=PERHAPS_FAULT)
    def a_visit_as_it_should_be(self, finished: bool, runs: int, fault: tuple[int, str] | None) -> None:
        self.faults.armed = Fault(*fault) if fault else None
        self.encounter_changes("e1", "finished" if finished else "in-progress", 0, told=True, runs=0)
        self.media_changes("m1", "completed", 0, 0, 1, told=True, runs=runs)

    # --- the world ----------------------------------------------------------------------------------------------------

    @rule(ident=rarely("e1", "e2"), status=rarely("finished", "planned", "in-progress", "cancelled", "entered-in-error"), patient=rarely(0, 1), told=st.booleans(), runs=RUNS)  # fmt: skip
    def encounter_changes(self, ident: str, status: str, patient: int, told: bool, runs: int) -> None:
        about = {"subject": {"reference": f"Patient/{PATIENTS[patient]}"}, "class": {"code": "AMB"}}
        self.ehr.put(f"Encounter/{ident}", {"status": status, **about})
        if told:
            self.tell(f"Encounter/{ident}", -1, False)
        self.what_is_due_runs(runs)

    @rule(ident=st.sampled_from(MEDIA), status=rarely("completed", "in-progress", "entered-in-error"), encounter=rarely(0, 1), patient=rarely(0, 1), audio=st.sampled_from([1, 1, 2, 2, None]), told=st.booleans(), runs=RUNS)  # fmt: skip
    def media_changes(
        self, ident: str, status: str, encounter: int, patient: int, audio: int | None, told: bool, runs: int
    ) -> None:
        content = {"content": {"contentType": "audio/ogg", "url": f"Binary/{ident}-{audio}"}} if audio else {}
        about = {"subject": {"reference": f"Patient/{PATIENTS[patient]}"}, **content}
        home = {"encounter": {"reference": f"Encounter/{ENCOUNTERS[encounter]}"}}
        self.ehr.put(f"Media/{ident}", {"status": status, **about, **home})
        if told:
            self.tell(f"Media/{ident}", -1, False)
        self.what_is_due_runs(runs)

    @precondition(lambda self: self.ehr.every("Media"))
    @rule(data=st.data(), told=st.booleans(), runs=RUNS)
    def media_is_deleted(self, data: st.DataObject, told: bool, runs: int) -> None:
        reference = f"Media/{data.draw(st.sampled_from(sorted(one['id'] for one in self.ehr.every('Media'))))}"
        self.ehr.put(reference, None)
        if told:
            self.tell(reference, -1, False)
        self.what_is_due_runs(runs)

    @precondition(lambda self: self.told_of())
    @rule(data=st.data(), pointer=st.booleans(), runs=RUNS)
    def an_event_comes(self, data: st.DataObject, pointer: bool, runs: int) -> None:
        """Of any version, however old, once more or at last."""
        reference = data.draw(st.sampled_from(self.told_of()))
        self.tell(reference, data.draw(st.integers(0, len(self.ehr.versions[reference]) - 1)), pointer)
        self.what_is_due_runs(runs)

    @rule(at=st.integers(1, 24), kind=st.sampled_from(FAULTS))
    def something_will_fail(self, at: int, kind: str) -> None:
        self.faults.armed = Fault(at, kind)

    @rule(audio=st.integers(1, 3), patient=rarely(0, 1), told=st.booleans(), fault=PERHAPS_FAULT)
    def all_is_as_it_should_be_again(self, audio: int, patient: int, told: bool, fault: tuple[int, str] | None) -> None:
        """Perhaps with other audio; without it a machine that strays seldom comes back to where notes are filed."""
        self.faults.armed = Fault(*fault) if fault else self.faults.armed
        self.encounter_changes("e1", "finished", patient, told=True, runs=0)
        self.media_changes("m1", "completed", 0, patient, audio, told=told, runs=6)

    @rule(looks=st.integers(1, 3))
    def the_engine_has_much_to_do(self, looks: int) -> None:
        self.engine.busy = looks

    @rule(seconds=st.sampled_from([1, 1, 30, 1000, 100_000]), runs=RUNS)
    def time_passes(self, seconds: int, runs: int) -> None:
        self.loop.run(self.advance(seconds))
        self.what_is_due_runs(runs)

    def what_is_due_runs(self, times: int) -> None:
        for _ in range(times):
            self.loop.run(self.run_due())
            self.loop.run(self.advance(0))

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        """Nothing that the EHR forbids was filed, nothing was asked of the engine twice, one note stands for each visit and
        content, a visit keeps its interaction, and no run met a bug."""
        assert not self.ehr.wrongs
        assert not self.engine.twice()
        standing = Counter((note["context"]["encounter"][0]["reference"], *said(note)) for note in self.current())
        assert not [one for one, count in standing.items() if count > 1], standing
        kept = "SELECT visit_id, json_extract(result, '$.id') FROM steps WHERE name = 'interaction' AND finished_at IS NOT NULL"  # fmt: skip
        for visit, interaction in self.loop.run(self.rows(kept)):
            assert self.interactions.setdefault(visit, interaction) == interaction
        assert not self.loop.run(self.rows("SELECT key, detail FROM visits WHERE reason = 'unexpected_error'"))

    def teardown(self) -> None:
        try:
            self.comes_to_rest()
        finally:
            self.loop.run(self.stack.aclose())
            self.loop.close()
            shutil.rmtree(self.folder)

    def comes_to_rest(self) -> None:
        """No more failures; every event comes, and time passes."""
        self.faults.armed, self.engine.busy = None, 0
        for reference in self.told_of():
            self.tell(reference, -1, False)
        before: Any = None
        for _ in range(40):
            self.loop.run(self.advance(1))
            self.loop.run(self.run_due())
            if before == (before := self.loop.run(self.snapshot())):
                break
        else:
            raise AssertionError(f"comes to no rest: {before}")
        self.holds()
        for ident in ENCOUNTERS:
            self.loop.run(self.assert_rest(ident))
        self.loop.run(
            self.write(
                "UPDATE visits SET next_at = strftime('%Y-%m-%d %H:%M:%f000', 'now') WHERE reason IS NOT 'no_recording'"
            )
        )
        self.loop.run(self.run_due())
        self.loop.run(self.run_due())
        after = self.loop.run(self.snapshot())
        assert after == before, (before, after)

    async def assert_rest(self, ident: str) -> None:
        """What must stand in the chart, where the truth is clear enough to say."""
        encounter = self.ehr.now(f"Encounter/{ident}")
        standing = [
            note for note in self.current() if note["context"]["encounter"][0]["reference"] == f"Encounter/{ident}"
        ]
        sound = [
            one
            for one in self.ehr.every("Media")
            if one["encounter"]["reference"] == f"Encounter/{ident}" and one["status"] != "entered-in-error"
        ]
        about = {one["subject"]["reference"] for one in [*sound, *([encounter] if encounter else [])]}
        state = await self.rows(f"SELECT state, reason, detail FROM visits WHERE key = 'Encounter/{ident}'")
        if encounter is None:
            assert not standing
        elif encounter["status"] == "cancelled" and sound:
            assert not standing or state[0][:2] == ("parked", "encounter_cancelled_after_filing"), state
        elif not sound or encounter["status"] == "entered-in-error" or len(about) > 1:
            assert not standing, (state, encounter, sound)
        elif encounter["status"] == "finished" and all(
            one["status"] == "completed" and "content" in one for one in sound
        ):
            began_with = await self.rows(
                f"SELECT json_extract(result, '$.patient') FROM steps WHERE name = 'interaction' AND finished_at IS NOT NULL AND visit_id = '{visit_id(BASE, f'Encounter/{ident}')}'"
            )
            changed = bool(began_with) and {began_with[0][0]} != about
            wanted = [] if changed else [sorted(one["content"]["url"] for one in sound)]
            assert [said(note) for note in standing] == wanted, (state, encounter, sound)
            assert all(note["subject"]["reference"] in about for note in standing)
            assert state[0][0] == ("parked" if changed else "done"), state

    # --- doing it -----------------------------------------------------------------------------------------------------

    def told_of(self) -> list[str]:
        return [reference for reference in self.ehr.versions if reference.startswith(("Encounter/", "Media/"))]

    def current(self) -> list[dict[str, Any]]:
        return [note for note in self.ehr.every("DocumentReference") if note["status"] == "current"]

    def tell(self, reference: str, version: int, pointer: bool) -> None:
        versions = self.ehr.versions[reference]
        event = _event(reference, versions[version], version % len(versions) + 1, pointer)
        self.loop.run(SqlInbox(self.database).store(Delivery(b"{}"), [event], BASE))

    async def run_due(self) -> None:
        """As a runner does; a run that dies leaves its lease behind."""
        store = SqlVisits(self.database)
        addressee = Addressee(self.ehr, load_profile("us-core"), Ehr(author="device"))
        notes = self.settings.notes
        for visit in await store.claim("runner", 8, LEASE, lambda visit: plan(visit, notes.templates, BASE), {}):
            with suppress(Crash):
                await run(Work(visit, FaultyVisits(store, self.faults), self.engine, addressee, notes, [], LEASE))  # type: ignore[arg-type]

    async def advance(self, seconds: int) -> None:
        """Makes everything so much older, leases and waits alike; a second is enough for whatever is due soon."""
        past = f"strftime('%Y-%m-%d %H:%M:%f000', {{}}, '-{max(seconds, 700)} seconds')"
        older = f"strftime('%Y-%m-%d %H:%M:%f000', waiting_since, '-{seconds} seconds')"
        await self.write(
            f"UPDATE visits SET next_at = {past.format('next_at')}, lease_until = {past.format('lease_until')}, waiting_since = {older}"
        )

    async def write(self, statement: str) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(text(statement))

    async def rows(self, query: str) -> list[Any]:
        async with self.database.reading() as connection:
            return [tuple(row) for row in await connection.execute(text(query))]

    async def snapshot(self) -> Any:
        """All that a further run must leave as it is. One that was parked for what it waited for may wait for it again."""
        visits = await self.rows("SELECT key, replace(state, 'parked', 'waiting'), reason FROM visits ORDER BY key")
        steps = await self.rows(
            "SELECT visit_id, name, result FROM steps WHERE finished_at IS NOT NULL ORDER BY visit_id, name"
        )
        facts = await self.rows(
            "SELECT resource_type, resource_id, visit_id, version, deleted FROM facts ORDER BY 1, 2"
        )
        return visits, steps, facts, self.engine.made, {name: len(all_) for name, all_ in self.ehr.versions.items()}


def _event(reference: str, resource: dict[str, Any] | None, version: int, pointer: bool) -> Event:
    kind, ident = reference.split("/")
    origin = Origin(BASE, f"{reference}@{version}{pointer}", "delete" if resource is None else "upsert")
    if resource is None or pointer:
        return from_pointer(kind, ident, str(version), origin)
    return from_resource(resource, origin)


SETTINGS = settings(
    max_examples=int(float(os.environ.get("SECONDS", "0"))) or 8,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestVisit = VisitMachine.TestCase
TestVisit.settings = SETTINGS
