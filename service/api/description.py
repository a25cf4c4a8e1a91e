"""What the OpenAPI description says about authentication: how to show who calls, and where that is asked."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from service.ambient.wire.error import refusals
from service.api.caller import Scope
from service.settings import DEFAULT_TENANT, TENANT_NAME

GUARDED: dict[str, Scope] = {
    "/v2/": "ambient",
    "/events": "events",
    "/visits": "operations",
    "/dead-letters": "operations",
}
"""The scope that is needed, by how the path begins."""

_SCOPES = {
    "ambient": "the ambient API under /v2",
    "events": "sending FHIR events",
    "operations": "visits and dead letters",
}
_TOKEN_URL = f"/realms/{DEFAULT_TENANT}/protocol/openid-connect/token"
_SCHEMES: dict[str, Any] = {
    "clientCredentials": {
        "type": "oauth2",
        "description": f"A client of AMBIENT_API__CLIENTS; another tenant than `{DEFAULT_TENANT}` has its own token URL.",
        "flows": {"clientCredentials": {"tokenUrl": _TOKEN_URL, "scopes": _SCOPES}},
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of this service, or of the issuer AMBIENT_API__OIDC_ISSUER.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Signature",
        "description": "Hex HMAC-SHA256 of the body with the key AMBIENT_API__EVENTS_SECRET.",
    },
}
_TENANT = {
    "name": "Tenant-Name",
    "in": "header",
    "required": True,
    "description": "The tenant that the token belongs to. Where the API is open (no clients and no issuer, on loopback "
    f"only) it may be left out and is `{DEFAULT_TENANT}`.",
    "schema": {"type": "string", "pattern": f"^{TENANT_NAME}$"},
    "example": DEFAULT_TENANT,
}


def describe_authentication(app: FastAPI) -> None:
    """Routes keep no parameter of it: they could not refuse its absence in the wire's own way."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = describe()
            schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
            for path, operations in schema["paths"].items():
                _describe(path, operations.values())
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _describe(path: str, operations: Any) -> None:
    scope = next((scope for beginning, scope in GUARDED.items() if path.startswith(beginning)), None)
    for operation in operations if scope else ():
        operation["security"] = [{"clientCredentials": [scope]}, {"bearer": []}]
        operation["responses"].setdefault("503", refusals(503)[503])
        if scope == "events":
            operation["security"].append({"signature": []})
        if scope == "ambient":
            operation.setdefault("parameters", []).append(_TENANT)
