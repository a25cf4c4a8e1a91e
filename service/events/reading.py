"""From a delivery to plain events: recognises the shapes of docs/wire.md by their content.

Order matters, because shapes nest: CloudEvents wrap the others, and a notification Bundle is itself a resource.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from service.errors import Ignored, Rejected
from service.events.delivery import Delivery
from service.events.event import Event, Operation, Origin, from_pointer, from_resource
from service.events.notifications import notified
from service.fhir.elements import mapping, string

_CE_PREFIXES = ("ce-", "ce_", "cloudevents:", "cloudevents_")


def read_events(delivery: Delivery, base: str) -> list[Event]:
    """Every event in the delivery, at least one.

    Raises Ignored when it is fine and needs no work, Rejected (`not_json`, `not_fhir`, `foreign_base`) when it cannot
    be understood. `base` is the EHR's base URL.
    """
    origin = Origin(base=base, body_sha256=hashlib.sha256(delivery.body).hexdigest(), operation=_routed_operation(delivery.routing_key))
    body = _parse(delivery.body)
    return _read(body, _binary_cloud_event(delivery, origin))


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Rejected("not_json", f"at byte {error.pos}") from None
    if b"\\u0000" in body:
        raise Rejected("not_fhir", "a string holds NUL, which FHIR forbids")
    if not isinstance(parsed, dict):
        raise Rejected("not_fhir", f"a JSON {type(parsed).__name__} where an object is expected")
    return parsed


def _read(body: dict[str, Any], origin: Origin) -> list[Event]:
    if "specversion" in body:
        return _structured_cloud_event(body, origin)
    if mapping(body, "payload") and string(body, "payload", "operationType"):
        return [_hapi_message(body["payload"], origin)]
    if "topic" in body and mapping(body, "value"):
        return _read(body["value"], origin)
    if body.get("resourceType") == "Bundle":
        return _bundle(body, origin)
    if "resourceType" in body:
        return [from_resource(body, origin)]
    raise Rejected("not_fhir", "neither a resource nor a known envelope")


def _structured_cloud_event(body: dict[str, Any], origin: Origin) -> list[Event]:
    """CloudEvents 1.0 JSON format; a `data` object holds any of the other shapes."""
    ident, source, data = string(body, "id"), string(body, "source"), mapping(body, "data")
    if not ident or not source:
        raise Rejected("not_fhir", "a CloudEvent without id or source")
    if data is None:
        raise Rejected("not_fhir", "a CloudEvent without a data object")
    return _read(data, replace(origin, id=ident, source=source, operation=_named_operation(string(body, "type")) or origin.operation))


def _binary_cloud_event(delivery: Delivery, origin: Origin) -> Origin:
    """CloudEvents in headers, under each prefix seen in the field; names are compared without case."""
    attributes = {}
    for name, value in delivery.headers.items():
        for prefix in _CE_PREFIXES:
            if name.lower().startswith(prefix):
                attributes[name.lower().removeprefix(prefix)] = value
    if "specversion" not in attributes or not attributes.get("id") or not attributes.get("source"):
        return origin
    operation = _named_operation(attributes.get("type")) or origin.operation
    return replace(origin, id=attributes["id"], source=attributes["source"], operation=operation)


def _hapi_message(payload: dict[str, Any], origin: Origin) -> Event:
    """HAPI FHIR's ResourceModifiedJsonMessage: the resource travels as a string, and is absent on DELETE."""
    pointer = string(payload, "payloadId") or string(payload, "resourceId") or ""
    operation = _named_operation(string(payload, "operationType")) or "upsert"
    origin = replace(origin, id=string(payload, "payloadId"), operation=operation)
    inner = payload.get("payload")
    if isinstance(inner, str) and operation != "delete":
        return from_resource(_parse(inner.encode("utf-8", "surrogatepass")), origin)
    kind, _, rest = pointer.partition("/")
    ident, _, version = rest.partition("/_history/")
    if not kind or not ident:
        raise Rejected("not_fhir", "a HAPI message that names no resource")
    return from_pointer(kind, ident, version or None, origin)


def _bundle(bundle: dict[str, Any], origin: Origin) -> list[Event]:
    events, ignored = [], 0
    for one in notified(bundle, origin.base):
        inner = replace(origin, source=one.source or origin.source, id=one.id or origin.id, operation=one.operation)
        try:
            events.append(from_resource(one.resource, inner) if one.resource else from_pointer(one.type, one.resource_id, None, inner))
        except Ignored:
            ignored += 1
    if not events:
        raise Ignored("type_not_read" if ignored else "nothing_notified")
    return list(_distinct(events))


def _distinct(events: list[Event]) -> Iterator[Event]:
    """Several events under one envelope id are told apart by their resource."""
    several = len({(e.source, e.id) for e in events}) < len(events)
    for event in events:
        yield replace(event, id=f"{event.id}#{event.reference}"[:512]) if several else event


def _routed_operation(routing_key: str | None) -> Operation:
    return "delete" if (routing_key or "").lower().endswith(".delete") else "upsert"


def _named_operation(name: str | None) -> Operation | None:
    """An event type or operation in words: `…ResourceDeleted`, `DELETE`, `fhir.Media.update`. None when it does not say."""
    lowered = (name or "").lower()
    if "delete" in lowered:
        return "delete"
    return "upsert" if any(word in lowered for word in ("create", "update", "patch", "manually_triggered", "transaction")) else None
