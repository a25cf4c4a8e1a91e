"""`ambient-fhir doctor`: uses every counterpart once and says in a line how that went."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http.client import HTTPException

from service.errors import BadConfiguration
from service.fhir.profile_in_use import profile_in_use
from service.opening import Opening
from service.settings import Settings, ehr_name
from service.telemetry import describe
from service.unsafe_settings import refuse_unknown, refuse_unsafe

_PATIENCE = 30.0
_CLOCK_SLACK = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    ok: bool
    words: str


async def examine(settings: Settings) -> list[Finding]:
    """One after the other, so that each line stands for one counterpart alone."""
    findings = [_authentication(settings)]
    looks = {
        **LOOKS,
        **({"ehr clock": _ehr_clock} if settings.ehr.base_url != "sandbox" else {}),
        **({"issuer": _issuer} if settings.api.oidc_issuer else {}),
    }
    for subject, look in looks.items():
        try:
            findings.append(Finding(subject, True, await asyncio.wait_for(_within(settings, look), _PATIENCE)))
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
    count, issuer = len(settings.api.clients), settings.api.oidc_issuer
    ways = [f"{count} API clients"] * bool(count) + [f"tokens of {issuer}"] * bool(issuer)
    return Finding("authentication", True, ", ".join(ways) or "open, on loopback only")


async def _within(settings: Settings, look: Callable[[Opening], Awaitable[str]]) -> str:
    async with Opening.of(settings, "worker") as opening:
        return await look(opening)


async def _database(opening: Opening) -> str:
    if opening.database.is_sqlite:
        await opening.database.migrate()
    await opening.records().count_by_state()
    return f"{opening.database.dialect} answers, schema present"


async def _broker(opening: Opening) -> str:
    broker = await opening.broker()
    if missing := await broker.lacks():
        raise BadConfiguration(f"RabbitMQ answers, but {'; '.join(missing)}")
    if opening.settings.broker.url.startswith("memory:"):
        return "embedded"
    if opening.settings.broker.declare:
        return "RabbitMQ answers, took our exchanges and queues; a policy over them cannot be seen (docs/topology.md)"
    return "RabbitMQ answers, exchanges and queues are there; arguments and policies cannot be seen (docs/topology.md)"


async def _blobs(opening: Opening) -> str:
    async def some() -> AsyncIterator[bytes]:
        yield b"doctor"

    await opening.blobs().write("doctor/probe", some(), 100)
    await opening.blobs().delete("doctor/probe")
    return f"{opening.settings.blobs.url} can be written"


async def _engine(opening: Opening) -> str:
    engine, notes = opening.settings.engine, opening.settings.notes
    rooms = await opening.ambient_rooms()
    ambient = opening.ambient(rooms)
    if engine.url != "embedded":
        refuse_unknown(notes.templates, await ambient.template_keys())
        return f"{engine.url} answers"
    return f"embedded, speech model {engine.speech_model}"


async def _ehr(opening: Opening) -> str:
    profile_in_use(opening.settings)
    version = (await opening.ehr(opening.sandbox()).capabilities(afresh=True)).fhir_version
    if missing := opening.scopes_missing():
        raise BadConfiguration(
            f"{ehr_name(opening.settings)} does not grant {', '.join(missing)}: allow our client that there"
        )
    return f"{ehr_name(opening.settings)} answers, FHIR {version}, profile {opening.settings.ehr.profile}"


async def _ehr_clock(opening: Opening) -> str:
    """Assertions and tokens are good for minutes: clocks that differ by more than their slack fail them all."""
    ahead = await opening.ehr_ahead()
    if ahead is None:
        return "the EHR's answers bear no Date"
    words = f"the EHR's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"
    if abs(ahead) > _CLOCK_SLACK:
        raise BadConfiguration(f"{words}: let both follow a time server, or tokens will be refused")
    return words


async def _issuer(opening: Opening) -> str:
    issuer = opening.settings.api.oidc_issuer or ""
    return f"{issuer} answers, {len(await opening.published_keys(issuer).fetch())} keys"


LOOKS = {"database": _database, "broker": _broker, "blobs": _blobs, "engine": _engine, "ehr": _ehr}
