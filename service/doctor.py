"""`ambient-fhir doctor`: uses every counterpart once and says in a line how that went."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException

from service.errors import BadConfiguration
from service.main import examinations
from service.settings import Settings, refuse_unsafe
from service.telemetry import describe

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    ok: bool
    words: str


async def examine(settings: Settings) -> list[Finding]:
    """One after the other, so that each line stands for one counterpart alone."""
    findings = [_authentication(settings)]
    for subject, look in examinations(settings).items():
        try:
            findings.append(Finding(subject, True, await asyncio.wait_for(look(), _PATIENCE)))
        except TimeoutError:
            findings.append(Finding(subject, False, f"no answer within {_PATIENCE:.0f} s"))
        except Exception as error:
            findings.append(Finding(subject, False, describe(error)))
    return findings


async def is_alive(settings: Settings) -> Finding:
    """Asks the running process's own `/livez`; what the image's health check calls."""
    host, port = (
        (settings.ops.host, settings.ops.port) if settings.ops.port else (settings.http.host, settings.http.port)
    )
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    host = f"[{host}]" if ":" in host else host
    try:
        status = await asyncio.to_thread(_status, f"http://{host}:{port}/livez")
    except (OSError, HTTPException) as error:
        return Finding("process", False, f"{host}:{port} does not answer: {type(error).__name__}")
    return Finding("process", status == 200, f"/livez answers {status}")


def _status(url: str) -> int:
    """Never through a proxy of the environment: that would be asked whether *it* is alive."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=4) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def _authentication(settings: Settings) -> Finding:
    try:
        refuse_unsafe(settings, "serve")
    except BadConfiguration as wrong:
        return Finding("authentication", False, str(wrong))
    count = len(settings.api.clients)
    return Finding("authentication", True, f"{count} API clients" if count else "open, on loopback only")
