"""Who read what: a line for every recording, transcript and document whose content leaves the ambient API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import structlog
from fastapi import Depends, Request

from service.ambient.rooms import KnownInteraction
from service.telemetry import AUDIT

OURSELVES = "ambient-fhir"
"""Who reads where nobody was authenticated: the workflow, inside the process."""

log = structlog.get_logger(AUDIT)


class Reader:
    """Of one request. Lines are written before the content is sent: one too many is better than one too few."""

    def __init__(self, request: Request, interaction: KnownInteraction) -> None:
        self._known = {
            "client": getattr(request.state, "client", OURSELVES),
            "tenant": interaction.tenant,
            "interaction": interaction.id,
            "request": request.state.request_id,
        }

    def gets(
        self,
        kind: Literal["recording", "transcript", "document"],
        ids: Iterable[str],
        operation: Literal["read", "create", "update"] = "read",
    ) -> None:
        """`operation` is what was asked for; its answer holds the content."""
        for ident in ids:
            log.info("audit", operation=operation, **{kind: ident}, **self._known)


Audit = Annotated[Reader, Depends(Reader)]
