"""The parts of a house, each made from the settings when it is asked for: database, engine, EHR, broker, clients.

With `main.py` the only module of `service` that knows the adapters.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

from fastapi import FastAPI

from adapters.blobs.local_folder import LocalFolder
from adapters.database.ambient_store import SqlAmbientStore
from adapters.database.database import Database
from adapters.database.records import SqlVisitRecords
from adapters.database.visits import SqlVisits
from adapters.engine.speech import FasterWhisper
from service import __version__
from service.ambient.app import create_ambient_app
from service.ambient.ports import Blobs, NoteWriter, Transcriber
from service.ambient.rooms import AmbientRooms
from service.ambient.sweeping import sweeping
from service.ambient.template_files import read_templates
from service.ambient.transcription import Recognisers
from service.api.credentials import Credentials
from service.api.issuer import Issuer
from service.api.issuer_keys import IssuerKeys, PublishedKeys
from service.api.jwks import PATH as JWKS_PATH
from service.api.ports import VisitRecords
from service.api.rate import Rate
from service.api.token_endpoint import Grants
from service.api.tokens import Tokens
from service.errors import BadConfiguration
from service.fhir.device import Scribe
from service.later import Later
from service.settings import SANDBOX_PATH, Engine, Settings, ehr_base, ehr_name
from service.unsafe_settings import is_loopback, refuse_language, refuse_unknown
from service.workflow.destinations import Destination
from service.workflow.ports import Ambient, Broker, Ehr

if TYPE_CHECKING:
    import ssl

    import httpx

    from adapters.ehr.certificate import Certificate
    from adapters.oauth.key_file import KeyFile
    from adapters.oauth.smart_backend import SmartBackend

Role = Literal["serve", "api", "worker"]
_CONNECTIONS = 16
_ISSUER_PATIENCE = 5.0
_UPLOAD_BESIDE = 300.0
"""Seconds of an upload beside those in which its audio is waited for."""


@dataclass(slots=True)
class Opening:
    """The parts of a house, each made when it is asked for; what they open, `stack` closes.

    `destinations` are what the runner and both clients share.
    """

    settings: Settings
    role: Role
    database: Database
    stack: AsyncExitStack
    clients: list[httpx.AsyncClient] = field(default_factory=list)
    destinations: dict[str, Destination] = field(init=False)
    _client_keys: KeyFile | None = field(default=None, init=False)
    _smart: SmartBackend | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        most = self.settings.worker.concurrency
        self.destinations = {"ehr": Destination("ehr", most), "engine": Destination("engine", most)}

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
            await SqlVisits(self.database).release_all()
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
        from adapters.ehr.addresses import guarded_session
        from adapters.ehr.audio import AudioSource
        from adapters.ehr.client import EhrClient

        settings, base, timeout = self.settings.ehr, ehr_base(self.settings), self._patience(self.settings.ehr.timeout)
        http = self._http(timeout, self._ehr_auth(), sandbox, certificate=self._certificate())
        session = partial(guarded_session, _trusted, _CONNECTIONS)
        guarded = partial(session, private=settings.audio_private, hosts=settings.audio_hosts)
        authorities = self._certificate(shown=False)
        own_host = cast("httpx.AsyncClient", Later(partial(self._http, timeout, certificate=authorities)))
        elsewhere = cast("httpx.AsyncClient", Later(partial(self._http, timeout, session=guarded)))
        audio = AudioSource(
            http, elsewhere, base, frozenset(settings.audio_hosts), int(settings.audio_max), timeout,
            self.destinations["ehr"], settings.audio_timeout, own_host,
        )  # fmt: skip
        return EhrClient(http, base, ehr_name(self.settings), timeout, audio)

    def client_keys(self) -> KeyFile | None:
        """Those that assertions are signed with, and that are published: the same, once they change too."""
        path = self.settings.ehr.auth.key_file
        if path is not None and self._client_keys is None:
            from adapters.oauth.key_file import KeyFile

            self._client_keys = KeyFile(path, "AMBIENT_EHR__AUTH__KEY_FILE")
        return self._client_keys

    def scopes_missing(self) -> list[str]:
        """What the last token of the EHR did not grant."""
        return self._smart.missing if self._smart else []

    async def ehr_ahead(self) -> float | None:
        """Seconds that the EHR's clock is ahead of ours; None where it does not tell. Raises Retryable."""
        from adapters.ehr.clock import seconds_ahead

        http = self._http(_ISSUER_PATIENCE, certificate=self._certificate())
        return await seconds_ahead(http, ehr_base(self.settings))

    def _ehr_auth(self) -> httpx.Auth | None:
        from adapters.ehr.auth import ehr_auth
        from adapters.oauth.client_credentials import ClientCredentials

        auth, tls = self.settings.ehr.auth, self.settings.ehr.tls
        by_certificate = auth.method == "client_secret" and auth.client_authentication == "tls_client_auth"
        if by_certificate and not tls.certificate_file:
            raise BadConfiguration("tls_client_auth needs AMBIENT_EHR__TLS__CERTIFICATE_FILE")
        return ehr_auth(auth, partial(ClientCredentials, whose="ehr"), self._smart_backend)

    def _smart_backend(self, client_id: str) -> SmartBackend:
        from adapters.oauth.smart_backend import Client, SmartBackend

        auth, keys = self.settings.ehr.auth, self.client_keys()
        if keys is None:
            raise BadConfiguration("smart_backend needs AMBIENT_EHR__AUTH__KEY_FILE")
        base, jwks_url = ehr_base(self.settings), _jwks_url(self.settings)
        self._smart = SmartBackend(Client(client_id, base, auth.token_url, auth.scope, jwks_url), keys)
        return self._smart

    def _certificate(self, *, shown: bool = True) -> Certificate | None:
        """Unless `shown`: the authorities alone, for what is fetched without credentials."""
        tls = self.settings.ehr.tls
        if not shown:
            tls = tls.model_copy(update={"certificate_file": None, "key_file": None})
        if not (tls.certificate_file or tls.key_file or tls.ca_file):
            return None
        from adapters.ehr.certificate import Certificate

        return Certificate(tls)

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

        engine, timeout = self.settings.engine, self._patience(self.settings.engine.timeout)
        http = self._http(timeout, auth, app, base_url)
        destination, scribe = self.destinations["engine"], _scribe(engine)
        upload = self.settings.ehr.audio_timeout + _UPLOAD_BESIDE
        return AmbientClient(
            http, tenant=engine.tenant, timeout=timeout, long_timeout=upload, destination=destination, scribe=scribe
        )

    def _patience(self, timeout: float) -> float:
        """No answer is waited for longer than half a lease: what is sent is over before another runner may take over."""
        return min(timeout, self.settings.worker.lease / 2)

    async def broker(self) -> Broker:
        audio = self.settings.notes.audio_documents
        if self.settings.broker.url.startswith("memory:"):
            from adapters.in_memory.broker import InMemoryBroker

            return await self.stack.enter_async_context(
                InMemoryBroker.connect(self.settings.broker, audio_documents=audio)
            )
        from adapters.rabbitmq.broker import RabbitBroker

        return await self.stack.enter_async_context(RabbitBroker.connect(self.settings.broker, audio_documents=audio))

    def grants(self, tokens: Tokens) -> Grants:
        api = self.settings.api
        return Grants(tokens, Credentials(api.clients) if api.guarded else None, Rate(api.token_rate))

    def issuer(self) -> Issuer | None:
        api = self.settings.api
        if not api.oidc_issuer:
            return None
        keys = IssuerKeys(cast(PublishedKeys, Later(partial(self.published_keys, api.oidc_issuer))))
        self.stack.push_async_callback(keys.close)
        return Issuer(api.oidc_issuer, api.oidc_audience or "", api.oidc_tenant_claim, keys)

    def published_keys(self, issuer: str) -> PublishedKeys:
        from adapters.oauth.published_keys import PublishedKeys as Published

        return Published(self._http(_ISSUER_PATIENCE), issuer)

    def _http(
        self,
        timeout: float,
        auth: httpx.Auth | None = None,
        app: FastAPI | None = None,
        base_url: str = "",
        session: Callable[[], object] | None = None,
        certificate: Certificate | None = None,
    ) -> httpx.AsyncClient:
        """The one factory of HTTP clients: in process for an app, else over the network, by a `session` of its own if given."""
        import httpx

        if app is not None:
            from adapters.ambient.in_process import InProcess

            transport: httpx.AsyncBaseTransport = InProcess(app)
        else:
            from adapters.ambient.network import Network

            limits = httpx.Limits(max_connections=_CONNECTIONS)
            trusted = certificate.context if certificate else _trusted()
            transport = Network(verify=trusted, limits=limits, client=session)
        client = httpx.AsyncClient(
            transport=transport, base_url=base_url, auth=auth, timeout=timeout, trust_env=False, cookies=_no_cookies(),
            event_hooks={"request": [certificate.look]} if certificate else None,
        )  # fmt: skip
        self.clients.append(client)
        return client

    async def close_clients(self) -> None:
        """Registered before anything that uses them: they are made late, and must be the last to go."""
        for client in self.clients:
            await client.aclose()


def _no_cookies() -> CookieJar:
    """An odd cookie of the other side would be sent with every later request, and may fail them all."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


@cache
def _trusted() -> ssl.SSLContext:
    """Reading the authorities' certificates takes 40 ms: once is enough."""
    import httpx

    return httpx.create_ssl_context()


def _writer() -> NoteWriter:
    from adapters.engine.notes.writer import ExtractiveWriter

    return ExtractiveWriter()


def _scribe(engine: Engine) -> Scribe:
    """What drafts the notes, as far as it can be told from here: of a remote engine its host."""
    if engine.url != "embedded":
        return Scribe([("software", __version__), ("engine", urlsplit(engine.url).hostname or "remote")])
    speech = PurePath(engine.speech_model).name
    return Scribe([("software", __version__), ("speech model", speech), ("writer", engine.writer)])


def _jwks_url(settings: Settings) -> str | None:
    """What the EHR knows the place of our keys as: where it is told, or where users reach us."""
    public = settings.http.public_url or ""
    own = public.rstrip("/") + JWKS_PATH if public.startswith("https://") else None
    return (own if settings.ehr.auth.jwks_url is None else settings.ehr.auth.jwks_url) or None


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
