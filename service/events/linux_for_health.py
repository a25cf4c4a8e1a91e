"""LinuxForHealth FHIR's notifications (`FHIRNotificationEvent` in its source): a pointer, with the resource where it fits."""

from __future__ import annotations

from dataclasses import replace

from service.errors import Rejected
from service.events.event import Event, Origin, from_pointer, from_resource
from service.events.operations import named_operation
from service.fhir.elements import Json, mapping, string
from service.fhir.references import ForeignBase, parse


def is_notification(body: Json) -> bool:
    return string(body, "operationType") is not None and string(body, "location") is not None


def from_notification(body: Json, origin: Origin) -> Event:
    """`location` is `Type/id/_history/n`. Raises Ignored, Rejected."""
    location, resource = string(body, "location") or "", mapping(body, "resource")
    try:
        reference = parse(location, origin.base)
    except ForeignBase:
        raise Rejected("foreign_base", "the notified resource is on another server") from None
    if reference is None:
        raise Rejected("not_fhir", "a notification whose location is not Type/id")
    origin = replace(origin, operation=named_operation(string(body, "operationType")) or origin.operation)
    if resource is None:
        version = location.partition("/_history/")[2] or None
        return from_pointer(reference.type, reference.id, version, origin, string(body, "lastUpdated"))
    if (resource.get("resourceType"), resource.get("id")) != (reference.type, reference.id):
        raise Rejected("not_fhir", "a notification points to one resource and brings another")
    return from_resource(resource, origin)
