"""From a delivery to plain events: recognises the shapes of docs/wire.md by their content.

Order matters, because shapes nest: CloudEvents wrap the others, and a notification Bundle is itself a resource.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import orjson

from service.errors import Ignored, Rejected
from service.events.delivery import Delivery
from service.events.event import Event, Operation, Origin, bounded, from_pointer, from_resource
from service.events.notifications import notified
from service.fhir.elements import Json, mapping, string
from service.fhir.references import ForeignBase, parse

_CE_PREFIXES = ("ce-", "ce_", "cloudevents:", "cloudevents_")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_DEEPEST = 64


def read_events(delivery: Delivery, base: str) -> list[Event]:
    """Every event in the delivery, at least one.

    Raises Ignored when it is fine and needs no work, Rejected (`not_json`, `not_fhir`, `foreign_base`) when it cannot
    be understood. `base` is the EHR's base URL.
    """
    origin = Origin(
        base=base,
        body_sha256=hashlib.sha256(delivery.body).hexdigest(),
        operation=_routed_operation(delivery.routing_key),
    )
    body = _parse(delivery.body)
    return _read(body, _binary_cloud_event(delivery, origin))


def _parse(body: bytes) -> Json:
    try:
        parsed = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Rejected("not_json", f"at byte {error.pos}") from None
    if _NUL.search(body):
        raise Rejected("not_fhir", "a string holds NUL, which FHIR forbids")
    if not isinstance(parsed, dict):
        raise Rejected("not_fhir", f"a JSON {type(parsed).__name__} where an object is expected")
    if _deeper_than(_DEEPEST, parsed):
        raise Rejected("not_fhir", f"nested deeper than {_DEEPEST} levels")
    return parsed


def _deeper_than(most: int, parsed: object) -> bool:
    level = [parsed]
    for _ in range(most):
        level = [child for node in level for child in _children(node)]
    return bool(level)


def _children(node: object) -> Iterable[object]:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _read(body: Json, origin: Origin) -> list[Event]:
    if "specversion" in body:
        return _structured_cloud_event(body, origin)
    if string(body, "payload", "operationType"):
        return [_hapi_message(body["payload"], origin)]
    if "topic" in body and mapping(body, "value"):
        return _read(body["value"], origin)
    if body.get("resourceType") == "Bundle":
        return _bundle(body, origin)
    if "resourceType" in body:
        return [from_resource(body, origin)]
    raise Rejected("not_fhir", "neither a resource nor a known envelope")


def _structured_cloud_event(body: Json, origin: Origin) -> list[Event]:
    """CloudEvents 1.0 JSON format; `data`, an object or text that holds one, is any of the other shapes."""
    ident, source = string(body, "id"), string(body, "source")
    if not ident or not source:
        raise Rejected("not_fhir", "a CloudEvent without id or source")
    operation = _named_operation(string(body, "type")) or origin.operation
    return _read(_cloud_event_data(body), replace(origin, id=ident, source=source, operation=operation))


def _cloud_event_data(body: Json) -> Json:
    data, encoded = body.get("data"), body.get("data_base64")
    if isinstance(data, dict):
        return data
    if isinstance(data, str):
        return _parse(data.encode())
    if isinstance(encoded, str):
        try:
            return _parse(base64.b64decode(encoded, validate=True))
        except ValueError:
            raise Rejected("not_fhir", "a CloudEvent whose data_base64 is not base64") from None
    raise Rejected("not_fhir", "a CloudEvent without a data object")


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


def _hapi_message(payload: Json, origin: Origin) -> Event:
    """HAPI FHIR's ResourceModifiedJsonMessage: the resource travels as a string, and is absent on DELETE.

    `payloadId` names the event only where it names a version: without one it is the same for every change.
    """
    pointer = string(payload, "payloadId") or string(payload, "resourceId") or ""
    operation = _named_operation(string(payload, "operationType")) or "upsert"
    named = pointer if "/_history/" in pointer and operation != "delete" else None
    origin = replace(origin, id=named or origin.id, operation=operation)
    inner = payload.get("payload")
    if isinstance(inner, str) and operation != "delete":
        return from_resource(_parse(inner.encode()), origin)
    try:
        reference = parse(pointer, origin.base)
    except ForeignBase:
        raise Rejected("foreign_base", "the HAPI message is about a resource of another server") from None
    if reference is None:
        raise Rejected("not_fhir", "a HAPI message that names no resource")
    return from_pointer(reference.type, reference.id, pointer.partition("/_history/")[2] or None, origin)


def _bundle(bundle: Json, origin: Origin) -> list[Event]:
    events, ignored = [], 0
    for one in notified(bundle, origin.base):
        inner = replace(
            origin,
            source=one.source or origin.source,
            id=one.id or origin.id,
            operation=one.operation or origin.operation,
        )
        try:
            events.append(
                from_resource(one.resource, inner)
                if one.resource
                else from_pointer(one.type, one.resource_id, None, inner)
            )
        except Ignored:
            ignored += 1
    if not events:
        raise Ignored("type_not_read" if ignored else "nothing_notified")
    return list(_distinct(events))


def _distinct(events: list[Event]) -> Iterator[Event]:
    """Several events under one envelope id are told apart by their resource and version."""
    several = len({(e.source, e.id) for e in events}) < len(events)
    for event in events:
        version = f"/_history/{event.version}" if event.version else ""
        yield replace(event, id=bounded(f"{event.id}#{event.reference}{version}")) if several else event


def _routed_operation(routing_key: str | None) -> Operation:
    return "delete" if (routing_key or "").lower().endswith(".delete") else "upsert"


def _named_operation(name: str | None) -> Operation | None:
    """An event type or operation in words: `…ResourceDeleted`, `DELETE`, `fhir.Media.update`. None when it does not say."""
    lowered = (name or "").lower()
    if "delete" in lowered:
        return "delete"
    return (
        "upsert"
        if any(word in lowered for word in ("create", "update", "patch", "manually_triggered", "transaction"))
        else None
    )
