"""A request as an emulated EHR sees it, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from tests.faults.asgi import Scope, Send

Json = dict[str, Any]
BASE = "/fhir/R4"
FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class Asked:
    """`path` is below the base, without slashes at its ends; names of `headers` are in lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, scope: Scope, body: bytes) -> Asked:
        query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        return cls(scope["method"], scope["path"].removeprefix(BASE).strip("/"), query, headers, body)

    def resource(self, kind: str) -> Json:
        """Raises Refused unless the body is a resource of this kind."""
        if "json" not in self.headers.get("content-type", ""):
            raise Refused(415, "not-supported")
        try:
            body = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise Refused(400, "structure") from None
        if not isinstance(body, dict) or body.get("resourceType") != kind:
            raise Refused(400, "invalid")
        return body


@dataclass(frozen=True, slots=True)
class Told:
    """`content` is a resource, bytes as they are, or None for an empty body."""

    status: int
    content: Json | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send) -> None:
        body = self.content if isinstance(self.content, bytes) else orjson.dumps(self.content) if self.content else b""
        told = {"content-type": FHIR_JSON, **self.headers, "content-length": str(len(body))}
        pairs = [(name.lower().encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})


class Refused(Exception):
    """Becomes an OperationOutcome; `vendor` is the server's own code. Its `diagnostics` quote a name, which nobody may log."""

    def __init__(self, status: int, code: str, expression: str | None = None, vendor: str | None = None) -> None:
        super().__init__(f"{status} {code} {expression or ''} {vendor or ''}")
        self.status, self.code, self.expression, self.vendor = status, code, expression, vendor

    def told(self) -> Told:
        return Told(self.status, outcome("error", self.code, self.expression, self.vendor))


def outcome(severity: str, code: str, expression: str | None = None, vendor: str | None = None) -> Json:
    issue: Json = {"severity": severity, "code": code, "diagnostics": "Mrs. Hale"}
    if expression:
        issue["expression"] = [expression]
    if vendor:
        issue["details"] = {"coding": [{"code": vendor}], "text": "Mrs. Hale"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
