"""Settings: what is read from where, what is refused, and in which words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from service.errors import BadConfiguration
from service.settings import Settings, read_settings
from service.unsafe_settings import is_loopback, refuse_unsafe

SECRET = "sesame-9c1f"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.upper().startswith("AMBIENT_")]:
        monkeypatch.delenv(name)


def variables(model: type[BaseModel], prefix: str = "AMBIENT_") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from variables(inner, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", field


def test_with_nothing_set_everything_is_embedded_and_on_loopback() -> None:
    settings = read_settings()
    assert (settings.http.host, settings.http.port, settings.ops.port) == ("127.0.0.1", 8000, None)
    assert (settings.broker.url, settings.database.url) == ("memory://", "sqlite+aiosqlite:///var/ambient.db")
    assert (settings.engine.url, settings.ehr.base_url, settings.ehr.profile) == ("embedded", "sandbox", "us-core")
    assert (settings.notes.templates, settings.notes.trigger, settings.notes.max_wait) == (
        ["corti-soap"],
        "encounter_finished",
        86400,
    )
    assert (
        settings.broker.max_message,
        settings.broker.prefetch,
        settings.worker.concurrency,
        settings.worker.lease,
    ) == (1024**2, 16, 8, 60)
    assert settings.api.clients == {}
    refuse_unsafe(settings, "serve")


def test_every_variable_is_described() -> None:
    assert [name for name, field in variables(Settings) if not field.description] == []


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("AMBIENT_WORKER__LEASE", "90", "worker.lease", 90),
        ("AMBIENT_WORKER__LEASE", " 500ms ", "worker.lease", 0.5),
        ("AMBIENT_WORKER__LEASE", "15m", "worker.lease", 900),
        ("AMBIENT_NOTES__MAX_WAIT", "24h", "notes.max_wait", 86400),
        ("AMBIENT_NOTES__MAX_WAIT", "1.5d", "notes.max_wait", 129600),
        ("AMBIENT_NOTES__MAX_WAIT", "0", "notes.max_wait", 0),
        ("AMBIENT_BROKER__MAX_MESSAGE", "1048576", "broker.max_message", 1048576),
        ("AMBIENT_BROKER__MAX_MESSAGE", "2MiB", "broker.max_message", 2 * 1024**2),
        ("AMBIENT_BROKER__MAX_MESSAGE", "1.5 kb", "broker.max_message", 1500),
        ("AMBIENT_NOTES__TEMPLATES", "a, b ,,c", "notes.templates", ["a", "b", "c"]),
        ("AMBIENT_EHR__AUDIO_HOSTS", "", "ehr.audio_hosts", []),
        ("AMBIENT_BROKER__DECLARE", "false", "broker.declare", False),
        ("ambient_http__port", "9000", "http.port", 9000),
        ("AMBIENT_EHR__AUTH__METHOD", "bearer", "ehr.auth.method", "bearer"),
        ("AMBIENT_HTTP", '{"port": 9001}', "http.port", 9001),
    ],
)  # fmt: skip
def test_how_a_variable_is_read(monkeypatch: pytest.MonkeyPatch, name: str, text: str, path: str, value: Any) -> None:
    monkeypatch.setenv(name, text)
    found: Any = read_settings()
    for part in path.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("AMBIENT_WORKER__LEASE", text) for text in (SECRET, "", "-1s", "1w", "1e9", "nan", "inf", "0", "99999999999d", "\u0661s")),
        *(("AMBIENT_BROKER__MAX_MESSAGE", text) for text in (SECRET, f"10 {SECRET}", "-1", "0", "1XB", "")),
        *(("AMBIENT_DATABASE__URL", text) for text in (SECRET, f"mysql://u:{SECRET}@h/x", f"postgresql://u:{SECRET}@h/x", "")),
        ("AMBIENT_HTTP__PORT", SECRET), ("AMBIENT_HTTP__PORT", "65536"), ("AMBIENT_HTTP__PROT", SECRET), ("AMBIENT_BROKER__DECLARE", SECRET),
        ("AMBIENT_BROKER__PREFETCH", "0"), ("AMBIENT_NOTES__TEMPLATES", ","), ("AMBIENT_NOTES__TEMPLATES", f"{SECRET},a,{SECRET}"), ("AMBIENT_NOTES__TEMPLATES", f"a,{SECRET * 12}"), ("AMBIENT_NOTES__TRIGGER", SECRET), ("AMBIENT_EHR__AUTH__METHOD", SECRET),
        ("AMBIENT_EHR__BASE_URL", SECRET), ("AMBIENT_ENGINE__URL", SECRET), ("AMBIENT_ENGINE__RECOGNISERS", SECRET), ("AMBIENT_LOG__LEVEL", SECRET),
        ("AMBIENT_API__CLIENTS", f"{{bad {SECRET}"), ("AMBIENT_API__CLIENTS", f'["{SECRET}"]'), ("AMBIENT_API__CLIENTS", f'{{"a": {{"sekret": "{SECRET}"}}}}'),
        ("AMBIENT_API__CLIENTS", f'{{"a": {{"secret": "{SECRET}", "scopes": ["{SECRET}"]}}}}'), ("AMBIENT_HTTP", SECRET), ("AMBIENT_EHR__AUTH", SECRET),
        *(("AMBIENT_API__CLIENTS", text) for text in ('{"a": ""}', '{"a": {"secret": " "}}', f'{{"": "{SECRET}"}}', f'{{" ": "{SECRET}"}}')),
        ("AMBIENT_API__CLIENTS", f'{{"a": {{"secret": "{SECRET}", "scopes": []}}}}'),
        *((f"AMBIENT_API__{name}", text) for name in ("EVENTS_SECRET", "OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_TENANT_CLAIM") for text in ("", " ")),
        *(("AMBIENT_HTTP__PUBLIC_URL", text) for text in ("", SECRET, f"ftp://{SECRET}", f"//{SECRET}")),
    ],
)  # fmt: skip
def test_a_bad_value_is_one_line_that_names_the_variable_and_never_the_value(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(BadConfiguration, match=f"^{name}") as refused:
        read_settings()
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_several_bad_values_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMBIENT_HTTP__PORT", "x")
    monkeypatch.setenv("AMBIENT_LOG__LEVEL", "x")
    with pytest.raises(BadConfiguration, match=r"AMBIENT_HTTP__PORT: .*; AMBIENT_LOG__LEVEL: "):
        read_settings()


def test_secrets_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    (tmp_path / "clients").write_text(json.dumps({"a": SECRET, "b": {"secret": "x", "scopes": ["operations"]}}))
    monkeypatch.setenv("AMBIENT_EHR__AUTH__TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AMBIENT_API__CLIENTS_FILE", str(tmp_path / "clients"))
    settings = read_settings()
    assert settings.ehr.auth.token
    assert settings.ehr.auth.token.get_secret_value() == SECRET
    assert settings.api.clients["a"].scopes == ["ambient"]
    assert settings.api.clients["b"].scopes == ["operations"]
    assert SECRET not in repr(settings)


def test_an_empty_file_is_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    monkeypatch.setenv("AMBIENT_API__EVENTS_SECRET_FILE", str(tmp_path / "secret"))
    with pytest.raises(BadConfiguration, match=r"^AMBIENT_API__EVENTS_SECRET: must not be empty$"):
        read_settings()


def test_a_folder_of_secrets_yields_to_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "AMBIENT_EHR__AUTH__TOKEN").write_text(SECRET)
    (tmp_path / "ambient_api__events_secret").write_text("from the folder")
    (tmp_path / "..data").mkdir()
    (tmp_path / "README").write_text("not ours")
    monkeypatch.setenv("AMBIENT_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("AMBIENT_API__EVENTS_SECRET", "from the environment")
    settings = read_settings()
    assert settings.ehr.auth.token
    assert settings.ehr.auth.token.get_secret_value() == SECRET
    assert settings.api.events_secret
    assert settings.api.events_secret.get_secret_value() == "from the environment"


@pytest.mark.parametrize("name", ["AMBIENT_EHR__AUTH__TOKEN_FILE", "AMBIENT_SECRETS_DIR", "AMBIENT_DATABASE__URL_FILE"])
@pytest.mark.parametrize("kind", ["absent", "of another kind", "not text"])
def test_secrets_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "file").write_bytes(b"\xff")
    (tmp_path / "AMBIENT_EHR__AUTH__TOKEN").write_bytes(b"\xff")
    folder = name == "AMBIENT_SECRETS_DIR"
    right, wrong = (tmp_path, tmp_path / "file") if folder else (tmp_path / "file", tmp_path)
    monkeypatch.setenv(name, str({"absent": tmp_path / "nowhere", "of another kind": wrong, "not text": right}[kind]))
    with pytest.raises(BadConfiguration, match="AMBIENT_EHR__AUTH__TOKEN" if folder and kind == "not text" else name):
        read_settings()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "LocalHost", "::1", "[::1]"])
def test_addresses_of_this_machine_alone(host: str) -> None:
    assert is_loopback(host)
    refuse_unsafe(read_settings(http={"host": host}), "serve")


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "10.0.0.1", "ehr.test", "localhost.evil.test", "127.0.0.1.evil.test", "0", "::ffff:10.0.0.1"],
)
def test_beyond_loopback_clients_and_a_real_ehr_are_needed(host: str) -> None:
    real, clients = {"base_url": "https://ehr.test/fhir"}, {"clients": {"a": "s"}}
    with pytest.raises(BadConfiguration, match="AMBIENT_API__CLIENTS"):
        refuse_unsafe(read_settings(http={"host": host}, ehr=real), "serve")
    with pytest.raises(BadConfiguration, match="AMBIENT_EHR__ALLOW_SANDBOX"):
        refuse_unsafe(read_settings(http={"host": host}, api=clients), "serve")
    refuse_unsafe(read_settings(http={"host": host}, api=clients, ehr=real), "serve")
    refuse_unsafe(read_settings(http={"host": host}, api=clients, ehr={"allow_sandbox": True}), "serve")


HASH = "$scrypt$ln=14,r=8,p=1$jm3CIpifllGuEPqHHiUahQ$g7nJSlxxHVK/OGIO6X3bEzjVUffvBIUX/I7SSivOvoY"


def test_a_clients_secret_may_be_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMBIENT_API__CLIENTS", json.dumps({"a": HASH, "b": {"secret": HASH, "tenant": "clinic"}}))
    settings = read_settings()
    assert settings.api.clients["b"].secret.get_secret_value() == HASH
    assert "g7nJ" not in repr(settings)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ln=14", "ln=9"), ("ln=14", "ln=17"), ("ln=14", "ln=99"), ("ln=14", "ln=140"), ("ln=14", "ln=-1"), ("ln=14", "n=14"),
        ("r=8", "r=0"), ("r=8", "r=64"), ("r=8", "r=800"), ("p=1", "p=0"), ("p=1", "p=9"), (",p=1", ""),
        ("$jm3CIpifllGuEPqHHiUahQ", ""), ("jm3C", "jm3=C"), ("/OGI", "_OGI"), ("voY", "voY\n"), ("SivOvoY", "SivOvoY=="), ("$scrypt$ln", "$scrypt$v=1$ln"),
        ("OGIO6X3bEzjVUffvBIUX/I7SSivOvoY", ""), (HASH[-22:], ""),
    ],
)  # fmt: skip
def test_a_malformed_hash_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, right: str, wrong: str) -> None:
    assert right in HASH
    monkeypatch.setenv("AMBIENT_API__CLIENTS", json.dumps({"a": HASH.replace(right, wrong)}))
    with pytest.raises(BadConfiguration, match=r"^AMBIENT_API__CLIENTS__A__SECRET: ") as refused:
        read_settings()
    assert "jm3C" not in str(refused.value)


@pytest.mark.parametrize("tenant", ["", "a b", "a/b", "-a", "a\n", "x" * 129])
def test_a_tenant_whose_every_call_would_fail_is_refused(tenant: str) -> None:
    with pytest.raises(BadConfiguration, match="TENANT"):
        read_settings(api={"clients": {"a": {"secret": "s", "tenant": tenant}}})


@pytest.mark.parametrize(
    "url",
    ["https://id.test", "https://id.test/realms/x/", "http://127.0.0.1:8080/realms/x", "http://localhost", "http://[::1]:1"],
)  # fmt: skip
def test_an_issuer_counts_as_authentication(url: str) -> None:
    api = {"oidc_issuer": url, "oidc_audience": "ambient"}
    refuse_unsafe(read_settings(http={"host": "0.0.0.0"}, ehr={"base_url": "https://ehr.test/fhir"}, api=api), "serve")


@pytest.mark.parametrize(
    ("url", "audience", "words"),
    [
        ("https://id.test", None, "AMBIENT_API__OIDC_AUDIENCE"),
        ("https://id.test", "", "AMBIENT_API__OIDC_AUDIENCE"),
        *(
            (url, "ambient", "AMBIENT_API__OIDC_ISSUER must be")
            for url in ("http://id.test", "http://127.0.0.1.evil.test", "id.test", "https://", "https://[", "https://id.test?a=b", "https://id.test#a", "ftp://id.test")
        ),
    ],
)  # fmt: skip
def test_an_issuer_that_others_could_stand_in_for_is_refused(url: str, audience: str | None, words: str) -> None:
    with pytest.raises(BadConfiguration, match=words):
        refuse_unsafe(read_settings(api={"oidc_issuer": url, "oidc_audience": audience}), "serve")


@pytest.mark.parametrize("name", ["oidc_audience", "oidc_tenant_claim"])
def test_what_belongs_to_an_issuer_is_refused_without_one(name: str) -> None:
    with pytest.raises(BadConfiguration, match="AMBIENT_API__OIDC_ISSUER"):
        refuse_unsafe(read_settings(api={"clients": {"a": "s"}, name: "ambient"}), "serve")


def test_the_sandbox_can_be_refused_on_loopback_too() -> None:
    with pytest.raises(BadConfiguration, match="sandbox"):
        refuse_unsafe(read_settings(ehr={"allow_sandbox": False}), "serve")


@pytest.mark.parametrize("role", ["api", "worker"])
def test_two_processes_need_what_they_can_share(role: str) -> None:
    shared = {"broker": {"url": "amqp://h/"}, "database": {"url": "postgresql+asyncpg://h/x"}}
    refuse_unsafe(read_settings(**shared), role)
    for name, variable in (("broker", "AMBIENT_BROKER__URL"), ("database", "AMBIENT_DATABASE__URL")):
        with pytest.raises(BadConfiguration, match=variable if name == "broker" else "SQLite"):
            refuse_unsafe(read_settings(**{k: v for k, v in shared.items() if k != name}), role)


def test_a_worker_may_listen_beyond_loopback_since_it_serves_probes_alone() -> None:
    settings = read_settings(
        http={"host": "0.0.0.0"},
        broker={"url": "amqp://h/"},
        database={"url": "postgresql+asyncpg://h/x"},
        ehr={"base_url": "https://e.test"},
    )
    refuse_unsafe(settings, "worker")
    with pytest.raises(BadConfiguration):
        refuse_unsafe(settings, "api")


@pytest.mark.parametrize(
    ("name", "advice"),
    [("AMBIENT_BROKER_URL", "write AMBIENT_BROKER__URL"), ("AMBIENT_BROKR__URL", "docs/settings.md"), ("AMBIENT_EHR__AUTH_METHOD", "write AMBIENT_EHR__AUTH__METHOD")],
)  # fmt: skip
def test_a_misspelt_variable_is_named_with_the_right_one(
    monkeypatch: pytest.MonkeyPatch, name: str, advice: str
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(BadConfiguration, match=re.escape(advice)):
        read_settings()


def test_a_variable_that_kubernetes_makes_for_a_service_of_our_name_does_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AMBIENT_FHIR_SERVICE_HOST", "10.0.0.1")
    read_settings()
