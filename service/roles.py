"""A role of the service, from its start to SIGTERM."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack

import structlog

from service.api.serving import listening, until_told_to_stop
from service.main import open_house
from service.opening import Role
from service.settings import Settings

log = structlog.get_logger()


async def run_until_stopped(settings: Settings, role: Role) -> None:
    """Serves until SIGTERM or SIGINT; then unready, consumer first, steps to a checkpoint, and out."""
    async with until_told_to_stop() as stop, open_house(settings, role) as house, AsyncExitStack() as ports:
        http = settings.http
        if role != "worker" or settings.ops.port is None:
            await ports.enter_async_context(listening(house.app, http.host, http.port))
            log.info("listening", role=role, host=http.host, port=http.port)
        if settings.ops.port is not None:
            await ports.enter_async_context(listening(house.probes, settings.ops.host, settings.ops.port))
            log.info("probes_listening", host=settings.ops.host, port=settings.ops.port)
        if role != "worker" and not settings.api.guarded:
            log.warning(
                "open_on_loopback", detail="no API clients are configured: whoever is on this machine may do everything"
            )
        collect_garbage_from_here_on()
        await stop.wait()
        house.health.draining = True
        log.info("stopping", role=role)


def collect_garbage_from_here_on() -> None:
    """The start makes some 200,000 objects that live as long as the process; looking through them again and again takes
    a tenth of it. `cli` turns the collector off; from here on it runs, and leaves those objects alone."""
    gc.freeze()
    gc.enable()
