"""Azure Event Grid's own schema, and the pointer that Azure Health Data Services puts into it or into a CloudEvent.

Sources: Microsoft's "Azure Health Data Services events message structure", and "Endpoint validation with Event Grid event
schema" (learn.microsoft.com).
"""

from __future__ import annotations

from dataclasses import replace

from service.errors import Ignored, Rejected
from service.events.event import Event, Origin, from_pointer
from service.events.operations import named_operation
from service.events.parsing import parse_json
from service.fhir.elements import Json, element, mapping, string
from service.fhir.references import host_of

_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_LONGEST_CODE = 512


def is_grid_event(body: Json) -> bool:
    return string(body, "eventType") is not None and mapping(body, "data") is not None


def grid_event(body: Json, origin: Origin) -> tuple[Json, Origin]:
    """What the event holds, and what it says about that. Raises Ignored, Rejected (`not_fhir`)."""
    kind = string(body, "eventType")
    if kind == _VALIDATION:
        raise Ignored("handshake")
    ident, source = string(body, "id"), string(body, "topic")
    if not ident or not source:
        raise Rejected("not_fhir", "an Event Grid event without id or topic")
    operation = named_operation(kind) or origin.operation
    return body["data"], replace(origin, id=ident, source=source, operation=operation)


def is_azure_pointer(data: Json) -> bool:
    return string(data, "resourceFhirId") is not None


def azure_pointer(data: Json, origin: Origin) -> Event:
    """`{resourceType, resourceFhirAccount, resourceFhirId, resourceVersionId}`; never the resource itself.

    The account is a host name without a scheme, and the version a number.
    """
    account, version = string(data, "resourceFhirAccount"), element(data, "resourceVersionId")
    event = from_pointer(
        string(data, "resourceType") or "",
        string(data, "resourceFhirId") or "",
        str(version) if isinstance(version, int | str) and not isinstance(version, bool) else None,
        origin,
    )
    if account and account.lower() != host_of(origin.base):
        raise Rejected("foreign_base", "the resource is in another Azure FHIR service")
    return event


def validation_code(body: bytes) -> str | None:
    """The code that Event Grid wants back before it delivers to a webhook; None for any other body."""
    if _VALIDATION.encode() not in body:
        return None
    try:
        parsed = parse_json(body)
    except Rejected:
        return None
    only = parsed[0] if isinstance(parsed, list) and len(parsed) == 1 else parsed
    code = string(only, "data", "validationCode") if string(only, "eventType") == _VALIDATION else None
    return code if code and len(code) <= _LONGEST_CODE else None
