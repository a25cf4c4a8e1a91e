"""From a delivery to plain events: recognises the shapes of docs/wire.md by their content.

Order matters, because shapes nest: CloudEvents wrap the others, and a notification Bundle is itself a resource.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from service.errors import Ignored, Rejected
from service.events.delivery import Delivery
from service.events.event import Event, Origin, bounded, from_pointer, from_resource
from service.events.event_grid import azure_pointer, grid_event, is_azure_pointer, is_grid_event
from service.events.linux_for_health import from_notification, is_notification
from service.events.notifications import notified
from service.events.operations import named_operation, routed_operation
from service.events.parsing import parse_json, parse_object
from service.events.pub_sub import attributes_in, from_data, from_message, pub_sub_message
from service.fhir.elements import Json, mapping, string
from service.fhir.references import ForeignBase, Reference, parse

_CE_PREFIXES = ("ce-", "ce_", "cloudevents:", "cloudevents_")


def read_events(delivery: Delivery, base: str, *, audio_documents: bool = False) -> list[Event]:
    """Every event in the delivery, at least one.

    Raises Ignored when it is fine and needs no work, Rejected (`not_json`, `not_fhir`, `foreign_base`) when it cannot
    be understood. `base` is the EHR's base URL; `audio_documents` is `AMBIENT_NOTES__AUDIO_DOCUMENTS`.
    """
    origin = Origin(
        base=base,
        body_sha256=hashlib.sha256(delivery.body).hexdigest(),
        audio_documents=audio_documents,
        routed=routed_operation(delivery.routing_key),
    )
    if attributes := attributes_in(delivery.headers):
        return [from_data(attributes, delivery.body, origin)]
    body = parse_json(delivery.body)
    if isinstance(body, list):
        return _batch(body, origin)
    if not isinstance(body, dict):
        raise Rejected("not_fhir", f"a JSON {type(body).__name__} where an object is expected")
    return _read(body, _binary_cloud_event(delivery, origin))


def _batch(items: list[Any], origin: Origin) -> list[Event]:
    """A CloudEvents batch, or Event Grid's list; each has its own id. One that cannot be understood rejects them all."""
    events, ignored = list[Event](), []
    origin = _of_several(origin, items)
    for item in items:
        if not isinstance(item, dict) or not ("specversion" in item or is_grid_event(item)):
            raise Rejected("not_fhir", "a JSON list that is no batch of events")
        try:
            events += _read(item, origin)
        except Ignored as one:
            ignored.append(one)
    if not events:
        raise ignored[0] if ignored else Rejected("not_fhir", "an empty list")
    return events


def _read(body: Json, origin: Origin) -> list[Event]:
    if "specversion" in body:
        return _structured_cloud_event(body, origin)
    if is_grid_event(body):
        return _read(*grid_event(body, origin))
    if string(body, "payload", "operationType"):
        return [_hapi_message(body["payload"], origin)]
    if "topic" in body and mapping(body, "value"):
        return _read(body["value"], origin)
    if body.get("resourceType") == "Bundle":
        return _bundle(body, origin)
    if is_azure_pointer(body):
        return [azure_pointer(body, origin)]
    if "resourceType" in body:
        return [from_resource(body, origin)]
    return [_pointer(body, origin)]


def _pointer(body: Json, origin: Origin) -> Event:
    """What FHIR services send of their own making; some of them may hold the resource all the same."""
    if message := pub_sub_message(body):
        return from_message(message, origin)
    if is_notification(body):
        return from_notification(body, origin)
    raise Rejected("not_fhir", "neither a resource nor a known envelope")


def _structured_cloud_event(body: Json, origin: Origin) -> list[Event]:
    """CloudEvents 1.0 JSON format; `data`, an object or text that holds one, is any of the other shapes."""
    ident, source = string(body, "id"), string(body, "source")
    if not ident or not source:
        raise Rejected("not_fhir", "a CloudEvent without id or source")
    operation = named_operation(string(body, "type")) or origin.operation
    return _read(_cloud_event_data(body), replace(origin, id=ident, source=source, operation=operation))


def _cloud_event_data(body: Json) -> Json:
    data, encoded = body.get("data"), body.get("data_base64")
    if isinstance(data, dict):
        return data
    if isinstance(data, str):
        return parse_object(data.encode())
    if isinstance(encoded, str):
        try:
            return parse_object(base64.b64decode(encoded, validate=True))
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
    operation = named_operation(attributes.get("type")) or origin.operation
    return replace(origin, id=attributes["id"], source=attributes["source"], operation=operation)


def _hapi_message(payload: Json, origin: Origin) -> Event:
    """HAPI FHIR's ResourceModifiedJsonMessage: the resource travels as a string, and is absent on DELETE.

    `payloadId` names the event only where it names a version: without one it is the same for every change.
    """
    pointer = string(payload, "payloadId") or string(payload, "resourceId") or ""
    operation = named_operation(string(payload, "operationType")) or "upsert"
    reference = _in_hapi(pointer, origin.base)
    _in_hapi(string(payload, "resourceId") or "", origin.base)
    named = pointer if "/_history/" in pointer and operation != "delete" else None
    origin = replace(origin, id=named or origin.id, operation=operation)
    inner = payload.get("payload")
    if isinstance(inner, str) and operation != "delete":
        return from_resource(parse_object(inner.encode()), origin)
    if reference is None:
        raise Rejected("not_fhir", "a HAPI message that names no resource")
    return from_pointer(reference.type, reference.id, pointer.partition("/_history/")[2] or None, origin)


def _in_hapi(pointer: str, base: str) -> Reference | None:
    try:
        return parse(pointer, base)
    except ForeignBase:
        raise Rejected("foreign_base", "the HAPI message is about a resource of another server") from None


def _bundle(bundle: Json, origin: Origin) -> list[Event]:
    events, ignored = [], 0
    found = list(notified(bundle, origin.base))
    origin = _of_several(origin, found)
    for one in found:
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


def _of_several(origin: Origin, found: Sequence[object]) -> Origin:
    """A routing key says what happened to one resource; of several, each says that for itself."""
    return replace(origin, routed="upsert") if len(found) > 1 else origin


def _distinct(events: list[Event]) -> Iterator[Event]:
    """Several events under one envelope id are told apart by their resource and version."""
    several = len({(e.source, e.id) for e in events}) < len(events)
    for event in events:
        version = f"/_history/{event.version}" if event.version else ""
        yield replace(event, id=bounded(f"{event.id}#{event.reference}{version}")) if several else event
