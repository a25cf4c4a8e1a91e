"""Probes and metrics: no authentication, no PHI. Health is shown by traffic, not by the state of a connection object."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from service.api.ports import VisitRecords
from service.telemetry import OLDEST_DUE, VISITS

Check = Callable[[], Awaitable[object]]
_PATIENCE = 5.0
_STATES = ("waiting", "working", "done", "parked", "cancelled")

log = structlog.get_logger()


@dataclass(slots=True)
class Health:
    """`vital` checks decide over liveness, `needed` ones over readiness. `draining` makes the process unready for good."""

    needed: Mapping[str, Check]
    vital: Mapping[str, Check] = field(default_factory=dict)
    draining: bool = False

    async def readiness(self) -> dict[str, str]:
        found = await _results(self.needed)
        return {**found, "process": "stopping" if self.draining else "ok"}

    async def liveness(self) -> dict[str, str]:
        return {"event_loop": "ok", **await _results(self.vital)}


async def _results(checks: Mapping[str, Check]) -> dict[str, str]:
    results = await asyncio.gather(
        *(asyncio.wait_for(check(), _PATIENCE) for check in checks.values()), return_exceptions=True
    )
    return {
        name: type(result).__name__ if isinstance(result, BaseException) else "ok"
        for name, result in zip(checks, results, strict=True)
    }


def _probed(*parts: str) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    well, ill = dict.fromkeys(parts, "ok"), {**dict.fromkeys(parts, "ok"), parts[0]: "TimeoutError"}
    return {
        200: {"description": "Each part is `ok`", "content": {"application/json": {"schema": schema, "example": well}}},
        503: {"description": "A part is not `ok`", "content": {"application/json": {"schema": schema, "example": ill}}},
    }


_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def health_router(health: Health, records: VisitRecords) -> APIRouter:
    router = APIRouter(tags=["operations"])

    @router.get("/livez", summary="Is the process worth keeping?", responses=_probed("event_loop"))
    async def livez() -> JSONResponse:
        """For a liveness probe: when it fails, only a restart helps."""
        return _answer(await health.liveness())

    @router.get("/readyz", summary="Can the process do its work now?", responses=_probed("database", "process"))
    async def readyz() -> JSONResponse:
        """For a readiness probe: what it needs answers, and it is not stopping."""
        return _answer(await health.readiness())

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response, responses=_METRICS)
    async def metrics() -> Response:
        """The names are in the runbook. They hold no ids and no clinical content."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        await _count_visits(records)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


async def _count_visits(records: VisitRecords) -> None:
    """Not a number while the database is down: the other metrics are wanted most then."""
    try:
        async with asyncio.timeout(_PATIENCE):
            counts: Mapping[str, float] = await records.count_by_state()
            oldest = await records.oldest_due()
    except Exception as error:
        log.warning("visits_not_counted", error=type(error).__name__)
        counts, oldest = dict.fromkeys(_STATES, math.nan), math.nan
    for state in _STATES:
        VISITS.labels(state).set(counts.get(state, 0))
    OLDEST_DUE.set(oldest)


def _answer(results: dict[str, str]) -> JSONResponse:
    return JSONResponse(results, 200 if set(results.values()) == {"ok"} else 503)
