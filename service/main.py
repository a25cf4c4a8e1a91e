"""The composition root: settings in, a running house out. The only module of `service` that knows the adapters.

Everything is opened in the order in which it is needed, the consumer last, and closed in reverse: no delivery is taken
in before its work can be done, and what a step needs is open until the last step has ended. The in-process calls to
the ambient API and the sandbox stay inside the trust boundary; the public surface is authenticated in `api/app.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

from fastapi import FastAPI

from adapters.blobs.local_folder import LocalFolder
from adapters.database.ambient_store import SqlAmbientStore
from adapters.database.database import Database
from adapters.database.inbox import SqlInbox
from adapters.database.records import SqlDeadLetters, SqlVisitRecords
from adapters.database.signing_keys import SqlSigningKeys
from adapters.database.visits import SqlVisits
from adapters.engine.speech import FasterWhisper
from service.ambient.app import ambient_router, create_ambient_app
from service.ambient.ports import Blobs, NoteWriter, Transcriber
from service.ambient.rooms import AmbientRooms
from service.ambient.streams import streams_router
from service.ambient.sweeping import sweeping
from service.ambient.template_files import read_templates
from service.ambient.transcription import Recognisers
from service.api.app import Guarded, create_app, create_probes_app
from service.api.auth import Access
from service.api.credentials import Credentials
from service.api.events import events_router
from service.api.health import Health, health_router
from service.api.issuer import Issuer
from service.api.issuer_keys import IssuerKeys, PublishedKeys
from service.api.operations import dead_letters_router, visits_router
from service.api.ports import VisitRecords
from service.api.rate import Rate
from service.api.token_endpoint import Grants, token_router
from service.api.tokens import Tokens
from service.errors import BadConfiguration
from service.fhir.profile import load_profile
from service.later import Later
from service.settings import SANDBOX_PATH, Settings, ehr_base, ehr_name
from service.unsafe_settings import is_loopback, refuse_language, refuse_unknown, refuse_unsafe
from service.workflow.intake import Intake
from service.workflow.ports import Ambient, Broker, Ehr
from service.workflow.runner import Runner
from service.workflow.visit import Visit
from service.workflow.work import Destination, Work

if TYPE_CHECKING:
    import httpx

Role = Literal["serve", "api", "worker"]
_CONNECTIONS = 16
_ISSUER_PATIENCE = 5.0


@dataclass(slots=True)
class House:
    """What is open. `app` is the whole HTTP surface of the role, `probes` the part without authentication."""

    settings: Settings
    app: FastAPI
    probes: FastAPI
    health: Health
    broker: Broker
    ehr: Ehr
    ambient: Ambient
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
        house = opening.house(rooms, sandbox, broker, ehr, ambient)
        if role != "api":
            await opening.start_work(house)
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

    async with RabbitBroker.connect(settings.broker) as broker:
        yield broker


async def migrated(settings: Settings) -> None:
    async with Database.connect(settings.database) as database:
        await database.migrate()


@dataclass(slots=True)
class Opening:
    """The parts of a house, each made when it is asked for; what they open, `stack` closes."""

    settings: Settings
    role: Role
    database: Database
    stack: AsyncExitStack
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def of(cls, settings: Settings, role: Role) -> AsyncIterator[Opening]:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(Database.connect(settings.database))
            opening = cls(settings, role, database, stack)
            stack.push_async_callback(opening.close_clients)
            yield opening

    async def ambient_rooms(self, transcriber: Transcriber | None = None) -> AmbientRooms:
        engine = self.settings.engine
        count = self._recognisers()
        templates = read_templates(self.settings.api.template_folder)
        store = SqlAmbientStore(self.database)
        blobs = self.blobs()
        transcriber = transcriber or FasterWhisper(engine.speech_model, threads=1, at_once=max(count, 1))
        if self.role == "serve" and self.stack.enter_context(self.database.sole_process()):
            await store.release_all_transcripts()  # whoever had them is gone
        recognisers = await self.stack.enter_async_context(Recognisers.running(store, blobs, transcriber, count))
        if self.role != "worker":
            await self.stack.enter_async_context(sweeping(store, blobs))
        writer, api = cast(NoteWriter, Later(_writer)), self.settings.api
        limits = int(api.audio_max), api.audio_longest
        public_url = self.settings.http.public_url
        return AmbientRooms(store, blobs, transcriber, writer, recognisers, templates, *limits, public_url=public_url)

    def _recognisers(self) -> int:
        """One per core where the API is served; a worker leaves recordings to the API's processes."""
        if self.settings.engine.recognisers is not None:
            return self.settings.engine.recognisers
        return 0 if self.role == "worker" else os.cpu_count() or 1

    def blobs(self) -> Blobs:
        return LocalFolder.from_url(self.settings.blobs.url)

    def records(self) -> VisitRecords:
        return SqlVisitRecords(self.database)

    def sandbox(self) -> FastAPI | None:
        if self.settings.ehr.base_url != "sandbox":
            return None
        from adapters.database.sandbox_store import SqlSandboxStore
        from service.sandbox.app import create_sandbox_app

        return create_sandbox_app(SqlSandboxStore(self.database), self.blobs(), ehr_base(self.settings))

    def ehr(self, sandbox: FastAPI | None) -> Ehr:
        if sandbox is None:
            return self._ehr_client(None)
        outer = FastAPI(openapi_url=None)
        outer.mount(SANDBOX_PATH, sandbox)
        return cast(Ehr, Later(partial(self._ehr_client, outer)))

    def _ehr_client(self, sandbox: FastAPI | None) -> Ehr:
        from adapters.ehr.audio import AudioSource
        from adapters.ehr.client import EhrClient

        settings, base, timeout = self.settings.ehr, ehr_base(self.settings), self.settings.ehr.timeout
        http = self._http(timeout, _ehr_auth(self.settings), sandbox)
        elsewhere = cast("httpx.AsyncClient", Later(partial(self._http, timeout)))
        audio = AudioSource(http, elsewhere, base, frozenset(settings.audio_hosts), int(settings.audio_max), timeout)
        return EhrClient(http, base, ehr_name(self.settings), timeout, audio)

    def ambient(self, rooms: AmbientRooms) -> Ambient:
        if self.settings.engine.url == "embedded":
            refuse_unknown(self.settings.notes.templates, [template.key for template in rooms.templates.all()])
            refuse_language(rooms.transcriber.supports, self.settings.notes.language)
        else:
            return self._ambient_client(_engine_auth(self.settings), None, self.settings.engine.url.rstrip("/") + "/")
        return cast(
            Ambient, Later(lambda: self._ambient_client(None, create_ambient_app(rooms), "http://embedded/v2/"))
        )

    def _ambient_client(self, auth: httpx.Auth | None, app: FastAPI | None, base_url: str) -> Ambient:
        from adapters.ambient.client import AmbientClient

        engine = self.settings.engine
        return AmbientClient(
            self._http(engine.timeout, auth, app, base_url), tenant=engine.tenant, timeout=engine.timeout
        )

    async def broker(self) -> Broker:
        if self.settings.broker.url.startswith("memory:"):
            from adapters.in_memory.broker import InMemoryBroker

            return await self.stack.enter_async_context(InMemoryBroker.connect(self.settings.broker))
        from adapters.rabbitmq.broker import RabbitBroker

        return await self.stack.enter_async_context(RabbitBroker.connect(self.settings.broker))

    def house(self, rooms: AmbientRooms, sandbox: FastAPI | None, broker: Broker, ehr: Ehr, ambient: Ambient) -> House:
        settings, base, wake = self.settings, ehr_base(self.settings), asyncio.Event()
        records, letters = SqlVisitRecords(self.database), SqlDeadLetters(self.database)
        tokens = Tokens(SqlSigningKeys(self.database), settings.api.signing_key_file)
        access = Access(settings.api.clients, tokens, self._issuer())
        health = Health(needed={"database": self.database.ping})
        probes, alone = health_router(health, records), create_probes_app(health_router(health, records))
        operate, listen = access.require("operations"), access.require("events")
        inlet = events_router(broker, base, int(settings.broker.max_message), settings.api.events_secret, listen)
        app = create_app(
            open_to_all=[probes, token_router(self._grants(tokens)), streams_router(rooms, access.tenant)],
            behind=[
                (ambient_router(rooms), "/v2", access.require("ambient")),
                (inlet, "", None),
                (visits_router(records, wake), "", operate),
                (dead_letters_router(letters, broker, base, int(settings.broker.max_message)), "", operate),
            ],
            sandbox=Guarded(sandbox, operate) if sandbox else None,
            guarded=settings.api.guarded,
            public_url=settings.http.public_url,
        )
        served = app if self.role != "worker" else alone
        return House(settings, served, alone, health, broker, ehr, ambient, rooms.transcriber, records, letters, wake)

    def _grants(self, tokens: Tokens) -> Grants:
        api = self.settings.api
        return Grants(tokens, Credentials(api.clients) if api.guarded else None, Rate(api.token_rate))

    def _issuer(self) -> Issuer | None:
        api = self.settings.api
        if not api.oidc_issuer:
            return None
        keys = IssuerKeys(cast(PublishedKeys, Later(partial(self.published_keys, api.oidc_issuer))))
        self.stack.push_async_callback(keys.close)
        return Issuer(api.oidc_issuer, api.oidc_audience or "", api.oidc_tenant_claim, keys)

    def published_keys(self, issuer: str) -> PublishedKeys:
        from adapters.oauth.published_keys import PublishedKeys as Published

        return Published(self._http(_ISSUER_PATIENCE), issuer)

    async def start_work(self, house: House) -> None:
        """Runners first, so that what the consumer takes in finds them running."""
        settings = self.settings
        profile, visits, lease = load_profile(settings.ehr.profile), SqlVisits(self.database), settings.worker.lease

        def work_on(visit: Visit) -> Work:
            destination = Destination(house.ehr, profile, settings.ehr.author)
            return Work(visit, visits, house.ambient, destination, settings.notes, settings.engine.participants, lease)

        await self.stack.enter_async_context(Runner.running(visits, settings.worker, work_on, house.wake))
        most = int(settings.broker.max_message)
        intake = Intake(SqlInbox(self.database), ehr_base(settings), ehr_name(settings), most, house.wake)
        consumer = await self.stack.enter_async_context(house.broker.consume(intake.take_in))
        house.health.needed = {**house.health.needed, "consumer": consumer.check}
        house.health.vital = {"consumer": consumer.check}

    def _http(
        self, timeout: float, auth: httpx.Auth | None = None, app: FastAPI | None = None, base_url: str = ""
    ) -> httpx.AsyncClient:
        """The one factory of HTTP clients: in process for an app, else httpx's API over aiohttp, which costs a fifth of the CPU."""
        import httpx

        if app is not None:
            from adapters.ambient.in_process import InProcess

            transport: httpx.AsyncBaseTransport = InProcess(app)
        else:
            from httpx_aiohttp import AiohttpTransport

            transport = AiohttpTransport(limits=httpx.Limits(max_connections=_CONNECTIONS))
        client = httpx.AsyncClient(transport=transport, base_url=base_url, auth=auth, timeout=timeout, trust_env=False)
        self.clients.append(client)
        return client

    async def close_clients(self) -> None:
        """Registered before anything that uses them: they are made late, and must be the last to go."""
        for client in self.clients:
            await client.aclose()


def _writer() -> NoteWriter:
    from adapters.engine.notes.writer import ExtractiveWriter

    return ExtractiveWriter()


def _ehr_auth(settings: Settings) -> httpx.Auth | None:
    from adapters.ehr.auth import ehr_auth
    from adapters.oauth.client_credentials import ClientCredentials

    return ehr_auth(settings.ehr.auth, partial(ClientCredentials, whose="ehr"))


def _engine_auth(settings: Settings) -> httpx.Auth | None:
    from adapters.oauth.client_credentials import ClientCredentials

    engine = settings.engine
    if not engine.client_id or not engine.client_secret:
        if is_loopback(urlsplit(engine.url).hostname or ""):
            return None
        raise BadConfiguration(
            "AMBIENT_ENGINE__URL names a remote engine: set AMBIENT_ENGINE__CLIENT_ID, __CLIENT_SECRET and __TOKEN_URL"
        )
    token_url = (
        engine.token_url
        or f"{urlsplit(engine.url).scheme}://{urlsplit(engine.url).netloc}/realms/{engine.tenant}/protocol/openid-connect/token"
    )
    secret = engine.client_secret.get_secret_value()
    return ClientCredentials(token_url, engine.client_id, secret, scope="openid", whose="engine")
