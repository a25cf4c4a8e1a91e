"""Answers with the headers FHIR asks for: ETag, Last-Modified, and Location where something was written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import orjson
from fastapi import Request, Response

from service.sandbox.negotiation import FHIR_JSON, preferred_return
from service.sandbox.operation_outcome import Issue, Refused, operation_outcome
from service.sandbox.ports import Stored, Written


def fhir_answer(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, FHIR_JSON)


def refused_answer(refused: Refused) -> Response:
    return fhir_answer(operation_outcome(refused.issues), refused.status, refused.headers)


def stored_answer(stored: Stored) -> Response:
    return Response(stored.body, 200, version_headers(stored), FHIR_JSON)


def written_answer(request: Request, written: Written, base_url: str) -> Response:
    """201 when something came to be, else 200; its body as `Prefer: return=` asks."""
    stored = written.resource
    status = 201 if written.created else 200
    location = f"{base_url}/{stored.type}/{stored.id}/_history/{stored.version}"
    headers = version_headers(stored) | {"Location": location}
    match preferred_return(request):
        case "minimal":
            return Response(None, status, headers)
        case "OperationOutcome":
            done = Issue("informational", "created" if written.created else "stored")
            return fhir_answer(operation_outcome([done], "information"), status, headers)
        case _:
            return Response(stored.body, status, headers, FHIR_JSON)


def version_headers(stored: Stored) -> dict[str, str]:
    modified = format_datetime(stored.last_updated.astimezone(UTC), usegmt=True)
    return {"ETag": f'W/"{stored.version}"', "Last-Modified": modified}


def stamped(body: dict[str, Any], resource_id: str, version: int, last_updated: datetime) -> str:
    """The client's JSON with the server's own id, version and time."""
    moment = last_updated.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    meta = {**body.get("meta", {}), "versionId": str(version), "lastUpdated": moment}
    rest = {name: value for name, value in body.items() if name not in ("resourceType", "id", "meta")}
    return orjson.dumps({"resourceType": body["resourceType"], "id": resource_id, "meta": meta, **rest}).decode()
