"""Subscription notification Bundles: the R4 backport (Parameters) and R4B/R5 (SubscriptionStatus).

Source: Subscriptions R5 Backport IG 1.1.0, and FHIR R5 SubscriptionStatus. A Bundle may carry several notifications.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.errors import Ignored, Rejected
from service.events.event import Operation
from service.fhir.elements import Json, element, mapping, mappings, string
from service.fhir.references import ForeignBase, Reference, parse

_METHODS: dict[str, Operation] = {"DELETE": "delete", "POST": "upsert", "PUT": "upsert", "PATCH": "upsert"}


@dataclass(frozen=True, slots=True)
class Notified:
    """One notified resource; `resource` is None in an id-only notification, `operation` where the Bundle names none."""

    type: str
    resource_id: str
    resource: Json | None
    operation: Operation | None
    source: str | None
    id: str | None


@dataclass(frozen=True, slots=True)
class _Status:
    """What the Bundle's first entry says, if it is one. `foci` are (event number, reference)."""

    kind: str | None
    subscription: str | None
    foci: list[tuple[str | None, str]]
    entry: Json | None = None


def notified(bundle: Json, base: str) -> Iterator[Notified]:
    """The notified resources. Raises Ignored for a handshake, heartbeat or empty payload, Rejected for other Bundles."""
    if string(bundle, "type") not in ("history", "subscription-notification"):
        raise Rejected("not_fhir", "a Bundle that is not a subscription notification")
    status, entries = _status(bundle)
    if status.kind in ("handshake", "heartbeat"):
        raise Ignored(status.kind)
    if status.kind == "query-status":
        return
    if status.entry:
        _refuse_elsewhere(base, status.subscription, *_addresses(status.entry))
    urns = dict(_urns(entries))
    if not status.foci:
        found = (one for entry in entries if (one := _unannounced(entry, base)))
        yield from (_with_literals(one, urns) for one in found)
    brought = _brought(entries, base) if status.foci else {}
    for number, focus in status.foci:
        yield _with_literals(_announced(brought, focus, status.subscription, number, base), urns)


def _with_literals(one: Notified, urns: Mapping[str, str]) -> Notified:
    """Its references to other entries by `urn:` (FHIR R4 §2.36.4.1), which mean nothing outside of the Bundle, as literal ones."""
    return replace(one, resource=_literal(one.resource, urns)) if one.resource and urns else one


def _literal(node: Any, urns: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_literal(child, urns) for child in node]
    if not isinstance(node, dict):
        return node
    return {
        name: urns.get(child, child) if name == "reference" and isinstance(child, str) else _literal(child, urns)
        for name, child in node.items()
    }


def _urns(entries: list[Json]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        name, resource = string(entry, "fullUrl"), _of_resource(entry)
        if resource and name and name.startswith("urn:"):
            yield name, str(resource)


def _status(bundle: Json) -> tuple[_Status, list[Json]]:
    entries = list(mappings(bundle, "entry"))
    if not entries:
        raise Rejected("not_fhir", "a notification Bundle without entries")
    first = mapping(entries[0], "resource")
    kind = string(first, "resourceType")
    if first and kind == "Parameters":
        return replace(_parameters_status(first), entry=entries[0]), entries[1:]
    if first and kind in ("SubscriptionStatus", "AidboxSubscriptionStatus"):
        return replace(_subscription_status(first), entry=entries[0]), entries[1:]
    return _Status(None, None, []), entries


def _parameters_status(parameters: Json) -> _Status:
    named = {string(p, "name"): p for p in mappings(parameters, "parameter")}
    foci = []
    for event in (p for p in mappings(parameters, "parameter") if p.get("name") == "notification-event"):
        parts = {string(p, "name"): p for p in mappings(event, "part")}
        number, focus = parts.get("event-number"), string(parts.get("focus"), "valueReference", "reference")
        if focus:
            foci.append((_number(element(number, "valueString")) or _number(element(number, "valueInteger")), focus))
    subscription = string(named.get("subscription"), "valueReference", "reference")
    return _Status(string(named.get("type"), "valueCode"), subscription, foci)


def _subscription_status(status: Json) -> _Status:
    events = mappings(status, "notificationEvent")
    foci = [(_number(e.get("eventNumber")), focus) for e in events if (focus := string(e, "focus", "reference"))]
    return _Status(string(status, "type"), string(status, "subscription", "reference"), foci)


def _number(value: Any) -> str | None:
    """An event number: text in R4B, a number in some servers. Zero is one too."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= 64 else None


def _brought(entries: list[Json], base: str) -> dict[str | Reference, Json]:
    """The entries by `fullUrl` and by what they are about, the first of each: a Bundle may hold thousands."""
    brought: dict[str | Reference, Json] = {}
    for entry in entries:
        for name in (string(entry, "fullUrl"), _about(entry, base)):
            if name:
                brought.setdefault(name, entry)
    return brought


def _announced(
    brought: Mapping[str | Reference, Json], focus: str, subscription: str | None, number: str | None, base: str
) -> Notified:
    """What a notification event points to, with the entry that goes with it, if there is one."""
    entry = brought.get(focus)
    reference = _of_resource(entry) if focus.startswith("urn:") else _own(focus, base)
    if reference is None:
        raise Rejected("not_fhir", "the notified reference is not Type/id")
    entry = entry or brought.get(reference)
    _refuse_elsewhere(base, *_addresses(entry))
    if mapping(entry, "resource") and _of_resource(entry) != reference:
        raise Rejected("not_fhir", "a notification points to one resource and brings another")
    ident = f"{subscription}#{number}" if subscription and number else None
    return _notified(reference, entry, subscription, ident)


def _unannounced(entry: Json, base: str) -> Notified | None:
    _refuse_elsewhere(base, *_addresses(entry))
    reference = _about(entry, base)
    if reference is None:
        if mapping(entry, "resource"):
            raise Rejected("not_fhir", "a notified resource without type or id")
        return None
    return _notified(reference, entry, None, None)


def _notified(reference: Reference, entry: Json | None, source: str | None, ident: str | None) -> Notified:
    operation = _METHODS.get((string(entry, "request", "method") or "").upper())
    return Notified(reference.type, reference.id, mapping(entry, "resource") or None, operation, source, ident)


def _own(focus: str, base: str) -> Reference | None:
    try:
        return parse(focus, base)
    except ForeignBase:
        raise Rejected("foreign_base", "the notified resource is on another server") from None


def _refuse_elsewhere(base: str, *addresses: object) -> None:
    """What is said about a resource at another base is not about ours of the same id (FHIR R4 §2.36.4)."""
    for address in addresses:
        if isinstance(address, str):
            _own(address, base)


def _addresses(entry: Json | None) -> tuple[object, ...]:
    return element(entry, "fullUrl"), element(entry, "request", "url")


def _of_resource(entry: Json | None) -> Reference | None:
    kind, ident = string(entry, "resource", "resourceType"), string(entry, "resource", "id")
    return Reference(kind, ident) if kind and ident else None


def _about(entry: Json, base: str) -> Reference | None:
    """Which resource an entry is about: what it holds, else what its `fullUrl` or `request.url` names."""
    reference = _of_resource(entry)
    for path in (("fullUrl",), ("request", "url")):
        if reference is None and (text := string(entry, *path)):
            try:
                reference = parse(text, base)
            except ForeignBase:
                continue
    return reference
