"""The composition root: settings in, a running house out.

Everything is opened in the order in which it is needed, the consumer last, and closed in reverse: no delivery is taken
in before its work can be done, and what a step needs is open until the last step has ended. The in-process calls to
the ambient API and the sandbox stay inside the trust boundary; the public surface is authenticated in `api/app.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI

from adapters.database.canaries import SqlCanaries
from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from adapters.database.records import SqlDeadLetters, SqlVisitRecords
from adapters.database.signing_keys import SqlSigningKeys
from adapters.database.visits import SqlVisits
from service.ambient.app import ambient_router
from service.ambient.ports import Transcriber
from service.ambient.rooms import AmbientRooms
from service.ambient.streams import streams_router
from service.api.app import Guarded, create_app, create_probes_app
from service.api.auth import Access
from service.api.events import events_router
from service.api.health import Health, health_router
from service.api.jwks import jwks_router
from service.api.operations import dead_letters_router, visits_router
from service.api.terms import Terms
from service.api.token_endpoint import token_router
from service.api.tokens import Tokens
from service.errors import BadConfiguration
from service.fhir.profile import load_profile
from service.fhir.profile_in_use import profile_in_use
from service.opening import Opening, Role
from service.settings import Settings, ehr_base, ehr_name
from service.unsafe_settings import refuse_unsafe
from service.workflow.canary import Canary
from service.workflow.dead_letters import collecting
from service.workflow.intake import Intake
from service.workflow.orphans import sweeping
from service.workflow.plan import plan
from service.workflow.ports import Ambient, Broker, Ehr, Intents, Visits
from service.workflow.preview import Preview, preview
from service.workflow.runner import Runner
from service.workflow.visit import Visit
from service.workflow.work import Addressee, Observed, Work


@dataclass(slots=True)
class Workplace:
    """What a run over a visit uses."""

    settings: Settings
    leases: Visits
    ehr: Ehr
    ambient: Ambient
    observed: Observed

    def work_on(self, visit: Visit) -> Work:
        settings, profile = self.settings, load_profile(self.settings.ehr.profile)
        addressee = Addressee(self.ehr, profile, settings.ehr, self.observed)
        roles, lease = settings.engine.participants, settings.worker.lease
        return Work(visit, self.leases, self.ambient, addressee, settings.notes, roles, lease)

    async def rehearse(self, visit: Visit) -> Preview:
        """What a run over this visit would do now; nothing is changed."""
        return await preview(self.work_on(visit))


@dataclass(slots=True)
class House(Workplace):
    """What is open. `app` is the whole HTTP surface of the role, `probes` the part without authentication."""

    app: FastAPI
    probes: FastAPI
    health: Health
    broker: Broker
    transcriber: Transcriber
    visits: SqlVisitRecords
    letters: SqlDeadLetters
    wake: asyncio.Event


@asynccontextmanager
async def open_house(
    settings: Settings, role: Role = "serve", transcriber: Transcriber | None = None
) -> AsyncIterator[House]:
    """Raises BadConfiguration before anything runs when the settings are unsafe or cannot work.

    `transcriber` stands in for the bundled speech recogniser.
    """
    refuse_unsafe(settings, role)
    async with Opening.of(settings, role) as opening:
        if role == "serve":
            await opening.database.migrate()
        rooms = await opening.ambient_rooms(transcriber)
        sandbox = opening.sandbox()
        ehr, ambient = opening.ehr(sandbox), opening.ambient(rooms)
        broker = await opening.broker()
        house = _house(opening, rooms, sandbox, broker, ehr, ambient)
        if role != "api":
            await start_work(opening, house)
        yield house


@dataclass(frozen=True, slots=True)
class Desk:
    """What operators' commands need of a house: its records, and a way to publish."""

    visits: SqlVisitRecords
    letters: SqlDeadLetters


@asynccontextmanager
async def open_records(settings: Settings) -> AsyncIterator[Desk]:
    """The records alone: no broker, no engine, no EHR."""
    async with Database.connect(settings.database) as database:
        if database.is_sqlite:
            await database.migrate()
        yield Desk(SqlVisitRecords(database), SqlDeadLetters(database))


@asynccontextmanager
async def open_broker(settings: Settings) -> AsyncIterator[Broker]:
    """Raises BadConfiguration for the embedded broker, which lives inside the serving process alone."""
    if settings.broker.url.startswith("memory:"):
        raise BadConfiguration(
            "AMBIENT_BROKER__URL=memory:// lives inside the serving process: ask its HTTP API (POST /dead-letters/ID/replay)"
        )
    from adapters.rabbitmq.broker import RabbitBroker

    async with RabbitBroker.connect(settings.broker, audio_documents=settings.notes.audio_documents) as broker:
        yield broker


async def collect_dead_letters(settings: Settings) -> int:
    """Stores what RabbitMQ itself put among the dead letters, and counts. The embedded broker keeps none."""
    if settings.broker.url.startswith("memory:"):
        return 0
    async with Database.connect(settings.database) as database:
        return await _collect(settings, _intake(settings, database, asyncio.Event()))


async def _collect(settings: Settings, intake: Intake) -> int:
    from adapters.rabbitmq.dead_letters import collect

    return await collect(settings.broker.url, intake.bury)


def _intake(settings: Settings, database: Database, wake: asyncio.Event) -> Intake:
    most = int(settings.broker.max_message)
    audio = settings.notes.audio_documents
    return Intake(SqlInbox(database), ehr_base(settings), ehr_name(settings), most, wake, audio)


@asynccontextmanager
async def open_workplace(settings: Settings) -> AsyncIterator[Workplace]:
    """For a command that works on visits itself: no broker, and no recognisers, which would begin transcripts."""
    engine = settings.engine.model_copy(update={"recognisers": 0})
    settings = settings.model_copy(update={"engine": engine})
    async with Opening.of(settings, "worker") as opening:
        rooms = await opening.ambient_rooms()
        ehr, ambient = opening.ehr(opening.sandbox()), opening.ambient(rooms)
        yield Workplace(settings, SqlVisits(opening.database), ehr, ambient, Observed())


async def migrated(settings: Settings) -> None:
    async with Database.connect(settings.database) as database:
        await database.migrate()


def _house(
    opening: Opening, rooms: AmbientRooms, sandbox: FastAPI | None, broker: Broker, ehr: Ehr, ambient: Ambient
) -> House:
    settings, terms, wake = opening.settings, Terms.of(opening.settings), asyncio.Event()
    records, letters = SqlVisitRecords(opening.database), SqlDeadLetters(opening.database)
    tokens = Tokens(SqlSigningKeys(opening.database), settings.api.signing_key_file)
    access = Access(settings.api.clients, tokens, opening.issuer())
    health = Health(needed={"database": opening.database.ping})
    probes, alone = health_router(health, records), create_probes_app(health_router(health, records))
    place = settings, SqlVisits(opening.database), ehr, ambient, Observed()
    rehearse = Workplace(*place).rehearse
    operate, listen = access.require("operations"), access.require("events")
    inlet = events_router(broker, terms, settings.api.events_secret, listen)
    app = create_app(
        open_to_all=[
            probes,
            token_router(opening.grants(tokens)),
            jwks_router(opening.client_keys()),
            streams_router(rooms, access.tenant),
        ],
        behind=[
            (ambient_router(rooms), "/v2", access.require("ambient")),
            (inlet, "", None),
            (visits_router(records, wake, rehearse), "", operate),
            (dead_letters_router(letters, broker, terms), "", operate),
        ],
        sandbox=Guarded(sandbox, operate) if sandbox else None,
        guarded=settings.api.guarded,
        public_url=settings.http.public_url,
    )
    served = app if opening.role != "worker" else alone
    return House(*place, served, alone, health, broker, rooms.transcriber, records, letters, wake)


async def start_work(opening: Opening, house: House) -> None:
    """Runners first, so that what the consumer takes in finds them running."""
    settings = opening.settings
    profile_in_use(settings)

    def planned(visit: Visit) -> Intents:
        return plan(visit, settings.notes.templates, ehr_base(settings))

    runner = Runner(
        house.leases, settings.worker, house.work_on, planned, house.wake, list(opening.destinations.values())
    )
    await opening.stack.enter_async_context(opening.database.told_of_due(house.wake))
    await opening.stack.enter_async_context(runner.running())
    await opening.stack.enter_async_context(sweeping(house.leases, settings.worker, house.work_on))
    intake = _intake(settings, opening.database, house.wake)
    if not settings.broker.url.startswith("memory:"):
        await opening.stack.enter_async_context(collecting(partial(_collect, settings, intake)))
    canary = Canary(house.broker, SqlCanaries(opening.database))
    consumer = await opening.stack.enter_async_context(house.broker.consume(canary.before(intake.take_in)))
    await opening.stack.enter_async_context(canary.flying())
    opening.stack.callback(runner.stop)  # before anything is waited for
    house.health.needed = {**house.health.needed, "consumer": consumer.check, "canary": canary.check}
    house.health.vital = {"consumer": consumer.alive}
