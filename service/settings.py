"""Every setting, read once from the environment (prefix `AMBIENT_`, nesting `__`) by `main.py` and handed on in parts.

With no variable set everything works on embedded defaults on loopback. Secrets may come from `<NAME>_FILE` or from a
directory of files named like the variables (`AMBIENT_SECRETS_DIR`). `docs/settings.md` is generated from this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from service.client_secrets import ScryptHash, is_hashed
from service.ehr_settings import Ehr
from service.errors import BadConfiguration
from service.setting_types import Bytes, Name, Seconds, Secret, Section, Words, one_of
from service.variables import Variables, refuse_misspelt

SANDBOX_PATH = "/sandbox/fhir/R4"
DEFAULT_TENANT = "base"
LONGEST_TEMPLATE_KEY = 128
TENANT_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"


class Http(Section):
    host: str = Field("127.0.0.1", description="address to listen on; beyond loopback the API must have authentication")
    port: int = Field(8000, ge=0, le=65535, description="port of the whole HTTP surface")
    public_url: Annotated[str, one_of("https://", "http://")] | None = Field(
        None, description="URL under which users reach the service; default: as requested"
    )


class Ops(Section):
    host: str = Field("127.0.0.1", description="address of the probes and metrics when they have their own port")
    port: int | None = Field(None, ge=0, le=65535, description="own port for probes and metrics; unset: the HTTP port")


class Broker(Section):
    url: str = Field("memory://", description="`memory://`, `amqp://…` or `amqps://…`; several separated by commas")
    prefetch: int = Field(16, ge=1, le=1000, description="deliveries taken in at once")
    declare: bool = Field(True, description="declare the topology; `false`: only verify that it is there")
    max_message: Bytes = Field(ByteSize(1024**2), description="larger deliveries are dead-lettered unread")


class Worker(Section):
    concurrency: int = Field(8, ge=1, le=256, description="visits reconciled at once")
    lease: Seconds = Field(60.0, gt=0, description="how long a runner may hold a visit without renewing")
    poll: Seconds = Field(1.0, gt=0, description="how often due visits are looked for when nothing wakes the runners")


class Database(Section):
    url: Annotated[str, one_of("sqlite+aiosqlite://", "postgresql+asyncpg://")] = Field(
        "sqlite+aiosqlite:///var/ambient.db", description="or `postgresql+asyncpg://…`"
    )
    pool: int = Field(8, ge=1, le=200, description="connections held open")


class Blobs(Section):
    url: str = Field("file:var/blobs", description="where audio is kept: `file:FOLDER`")


class Engine(Section):
    url: Annotated[str, one_of("embedded", "https://", "http://")] = Field(
        "embedded", description="`embedded`, or the `/v2` URL of an ambient API (Corti or another ambient-fhir)"
    )
    tenant: str = Field("base", description="tenant name sent with every call")
    client_id: str | None = Field(None, description="client credentials for a remote engine")
    client_secret: SecretStr | None = Field(None, description="client credentials for a remote engine")
    token_url: str | None = Field(None, description="token endpoint of a remote engine")
    timeout: Seconds = Field(
        30.0, gt=0, description="longest wait for one answer of the engine; never more than half of the worker's lease"
    )
    participants: Words = Field(
        ["doctor", "patient"], description="who speaks on each channel of a two-channel recording"
    )
    speech_model: str = Field("tiny.en", description="`tiny.en` (bundled) or a folder with a faster-whisper model")
    recognisers: int | None = Field(
        None, ge=0, le=64, description="recordings transcribed at once; default one per core, 0 in `worker`"
    )
    writer: Literal["extractive"] = Field("extractive", description="which writer drafts the notes")


class Notes(Section):
    templates: Words = Field(["corti-soap"], min_length=1, description="template keys: one document each")
    trigger: Literal["encounter_finished", "media_completed"] = Field(
        "encounter_finished", description="what makes a visit ready for its notes"
    )
    max_wait: Seconds = Field(86400.0, description="longest wait for the trigger")
    after_max_wait: Literal["park", "draft"] = Field("park", description="what happens to a visit then")
    incomplete_wait: Seconds = Field(
        900.0,
        description="longest wait for a Media's content, an Encounter's subject or a resource the EHR does not show yet",
    )
    allow_without_encounter: bool = Field(
        False, description="with `media_completed`: draft for a Media that names no Encounter"
    )
    audio_documents: bool = Field(
        False, description="take a DocumentReference that holds audio or video for a recording, as a Media"
    )
    language: str = Field("en", description="BCP 47 language of recordings and notes")

    @field_validator("templates")
    @classmethod
    def _once_each(cls, templates: list[str]) -> list[str]:
        """A key is part of the names of its steps, and of the note's identifier."""
        if len(set(templates)) < len(templates):
            raise ValueError("name each template once")
        if any(len(key) > LONGEST_TEMPLATE_KEY for key in templates):
            raise ValueError(f"a template key has at most {LONGEST_TEMPLATE_KEY} characters")
        return templates


class ApiClient(Section):
    """One entry of `AMBIENT_API__CLIENTS`; a plain secret stands for tenant `base` and scope `ambient`.

    A secret that begins with `$scrypt$` is a hash of the real one (`ambient-fhir hash-secret`).
    """

    secret: Secret
    tenant: str = Field(DEFAULT_TENANT, pattern=rf"^(?:{TENANT_NAME})$")
    scopes: list[Literal["ambient", "events", "operations"]] = Field(["ambient"], min_length=1)

    @field_validator("secret")
    @classmethod
    def _readable(cls, secret: SecretStr) -> SecretStr:
        if is_hashed(secret.get_secret_value()):
            ScryptHash.read(secret.get_secret_value())
        return secret


class Api(Section):
    clients: dict[str, ApiClient] = Field(
        {},
        description="JSON `{client_id: secret}` or `{client_id: {secret, tenant, scopes}}`; "
        "a secret may be given as its hash (`ambient-fhir hash-secret`)",
    )
    oidc_issuer: Name | None = Field(None, description="accept the JWTs of this OpenID Connect issuer (its URL)")
    oidc_audience: Name | None = Field(
        None, description="the audience that its tokens must name; needed with an issuer"
    )
    oidc_tenant_claim: Name | None = Field(
        None,
        description="claim that names the caller's tenant, without which its tokens are refused; unset: all are of `base`",
    )
    token_rate: int = Field(60, ge=1, description="tokens that one address may ask for in a minute, of each process")
    audio_max: Bytes = Field(ByteSize(150 * 1024**2), description="largest recording that may be uploaded")
    audio_longest: Seconds = Field(7200.0, gt=0, description="longest recording that may be uploaded")
    template_folder: Path | None = Field(
        None, description="folder with templates (YAML) beside the bundled ones; the same key replaces a bundled one"
    )
    signing_key_file: Path | None = Field(
        None, description="PEM or JWK that signs access tokens; default: a key kept in the database"
    )
    events_secret: Secret | None = Field(
        None, description="HMAC-SHA256 key that `X-Signature` on `POST /events` must match"
    )

    @property
    def guarded(self) -> bool:
        """Whether callers must show who they are."""
        return bool(self.clients or self.oidc_issuer)

    @field_validator("clients")
    @classmethod
    def _named(cls, clients: dict[str, ApiClient]) -> dict[str, ApiClient]:
        if not all(name.strip() for name in clients):
            raise ValueError("a client's id must not be empty")
        return clients

    @field_validator("clients", mode="before")
    @classmethod
    def _plain_secrets(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: {"secret": entry} if isinstance(entry, str) else entry for name, entry in value.items()}
        return value


class Log(Section):
    format: Literal["auto", "console", "json"] = Field("auto", description="`auto`: console on a terminal, else JSON")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe event that is written"
    )


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="AMBIENT_", env_nested_delimiter="__", extra="ignore", hide_input_in_errors=True, frozen=True
    )

    http: Http = Http()
    ops: Ops = Ops()
    broker: Broker = Broker()
    worker: Worker = Worker()
    database: Database = Database()
    blobs: Blobs = Blobs()
    engine: Engine = Engine()
    ehr: Ehr = Ehr()
    notes: Notes = Notes()
    api: Api = Api()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del env_settings, dotenv_settings, file_secret_settings  # `Variables` reads the environment and the files
        return init_settings, Variables(settings_cls)


def read_settings(**parts: Any) -> Settings:
    """The settings of this process. Raises BadConfiguration with one line per wrong setting, values left out."""
    refuse_misspelt(Settings)
    try:
        return Settings(**parts)
    except SettingsError as error:
        raise BadConfiguration(f"{error}: write valid JSON, or check the variables of that section") from None
    except ValidationError as error:
        lines = [
            f"AMBIENT_{'__'.join(str(p).upper() for p in e['loc'])}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_input=False)
        ]
        raise BadConfiguration("; ".join(lines)) from None


def ehr_base(settings: Settings) -> str:
    """The EHR's base URL; the sandbox's names this service as its users see it."""
    if settings.ehr.base_url != "sandbox":
        return settings.ehr.base_url.rstrip("/")
    host = f"[{settings.http.host}]" if ":" in settings.http.host else settings.http.host
    return (settings.http.public_url or f"http://{host}:{settings.http.port}").rstrip("/") + SANDBOX_PATH


def ehr_name(settings: Settings) -> str:
    """What identifies the EHR; the sandbox is the same one on whichever port it is served."""
    return "sandbox" if settings.ehr.base_url == "sandbox" else ehr_base(settings)
