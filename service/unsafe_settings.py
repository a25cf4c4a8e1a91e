"""Settings that would expose or lose patient data are refused before anything runs."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from urllib.parse import urlsplit

from service.errors import BadConfiguration
from service.settings import Settings


def is_loopback(host: str) -> bool:
    """Whether a server on this address can be reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_unsafe(settings: Settings, role: str) -> None:
    """Raises BadConfiguration where the settings would expose or lose patient data in this role.

    `role` is `serve`, `api` or `worker`; a worker serves probes only.
    """
    open_to_others = role != "worker" and not is_loopback(settings.http.host)
    if open_to_others and not settings.api.guarded:
        raise BadConfiguration(
            f"AMBIENT_HTTP__HOST={settings.http.host} is reachable from other machines and no API client is configured: "
            "set AMBIENT_API__CLIENTS or AMBIENT_API__OIDC_ISSUER, or listen on 127.0.0.1"
        )
    if settings.api.oidc_issuer:
        _refuse_unsafe_issuer(settings.api.oidc_issuer, settings.api.oidc_audience)
    elif settings.api.oidc_audience or settings.api.oidc_tenant_claim:
        raise BadConfiguration(
            "AMBIENT_API__OIDC_AUDIENCE and __OIDC_TENANT_CLAIM do nothing without AMBIENT_API__OIDC_ISSUER: name the issuer"
        )
    sandbox_allowed = (
        settings.ehr.allow_sandbox if settings.ehr.allow_sandbox is not None else is_loopback(settings.http.host)
    )
    if settings.ehr.base_url == "sandbox" and not sandbox_allowed:
        raise BadConfiguration(
            "AMBIENT_EHR__BASE_URL=sandbox is refused beyond loopback: name the EHR, or set AMBIENT_EHR__ALLOW_SANDBOX=true"
        )
    key_file = settings.api.signing_key_file
    if key_file and not os.access(key_file, os.R_OK):
        raise BadConfiguration(f"AMBIENT_API__SIGNING_KEY_FILE={key_file} cannot be read")
    if role in ("api", "worker"):
        _refuse_unshared(settings, role)


def _refuse_unsafe_issuer(issuer: str, audience: str | None) -> None:
    """Whoever can answer in the issuer's place decides who may read recordings."""
    try:
        url = urlsplit(issuer)
        host = url.hostname or ""
    except ValueError:
        url, host = urlsplit(""), ""
    plain_here = url.scheme == "http" and is_loopback(host)
    if not host or not (url.scheme == "https" or plain_here) or url.query or url.fragment:
        raise BadConfiguration(
            "AMBIENT_API__OIDC_ISSUER must be an https:// URL without query (http:// on this machine alone)"
        )
    if not audience:
        raise BadConfiguration(
            "AMBIENT_API__OIDC_ISSUER is set without AMBIENT_API__OIDC_AUDIENCE: "
            "name the audience, or tokens that were made for other services would be taken"
        )


def _refuse_unshared(settings: Settings, role: str) -> None:
    """Two processes share a visit only through a real broker, a real database and shared blobs."""
    if settings.broker.url.startswith("memory:"):
        raise BadConfiguration(
            f"`{role}` cannot share AMBIENT_BROKER__URL=memory:// with another process: use amqp://, or `serve`"
        )
    if settings.database.url.startswith("sqlite"):
        raise BadConfiguration(
            f"`{role}` cannot share SQLite with another process: set AMBIENT_DATABASE__URL=postgresql+asyncpg://…, or `serve`"
        )


def refuse_language(supports: Callable[[str], bool], language: str) -> None:
    """Raises BadConfiguration when the speech model is not there, or does not understand the language."""
    if not supports(language):
        raise BadConfiguration(f"AMBIENT_NOTES__LANGUAGE={language}: the speech model does not understand it")


def refuse_unknown(wished: list[str], offered: list[str]) -> None:
    """Raises BadConfiguration for templates that the engine does not have."""
    missing = sorted(set(wished) - set(offered))
    if missing:
        raise BadConfiguration(
            f"AMBIENT_NOTES__TEMPLATES: the engine has no {', '.join(missing)}; it has {', '.join(sorted(offered))}"
        )
