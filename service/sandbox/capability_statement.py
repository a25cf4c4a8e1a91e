"""What this server can do, as FHIR wants it said; made from the same tables that the requests are answered by."""

from __future__ import annotations

from typing import Any

from service.sandbox.search_parameters import SEARCH_PARAMETERS, SearchParameter


def capability_statement(base_url: str) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-22",
        "kind": "instance",
        "software": {"name": "ambient-fhir sandbox EHR"},
        "implementation": {
            "description": "A small EHR for demonstrations and tests. Not for real patients.",
            "url": base_url,
        },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{"mode": "server", "resource": [_resource(name) for name in SEARCH_PARAMETERS]}],
    }


def _resource(name: str) -> dict[str, Any]:
    return {
        "type": name,
        "interaction": [{"code": code} for code in ("read", "vread", "update", "delete", "create", "search-type")],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchParam": [_parameter(*item) for item in SEARCH_PARAMETERS[name].items()],
    }


def _parameter(name: str, parameter: SearchParameter) -> dict[str, Any]:
    return {"name": name, "type": parameter.kind}
