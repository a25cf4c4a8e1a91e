"""Subscription notification Bundles: the R4 backport (Parameters) and R4B/R5 (SubscriptionStatus).

Source: Subscriptions R5 Backport IG 1.1.0, and FHIR R5 SubscriptionStatus. A Bundle may carry several notifications.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.errors import Ignored, Rejected
from service.events.event import Operation
from service.fhir.elements import mapping, mappings, string
from service.fhir.references import ForeignBase, Reference, parse


@dataclass(frozen=True, slots=True)
class Notified:
    """One notified resource; `resource` is None in an id-only notification."""

    type: str
    resource_id: str
    resource: dict[str, Any] | None
    operation: Operation
    source: str | None
    id: str | None


def notified(bundle: dict[str, Any], base: str) -> Iterator[Notified]:
    """The notified resources. Raises Ignored for a handshake, heartbeat or empty payload, Rejected for other Bundles."""
    if string(bundle, "type") not in ("history", "subscription-notification"):
        raise Rejected("not_fhir", "a Bundle that is not a subscription notification")
    status, entries = _status(bundle)
    kind = status.get("type")
    if kind in ("handshake", "heartbeat"):
        raise Ignored(kind)
    resources = {string(entry, "fullUrl"): entry for entry in entries}
    foci = list(status["foci"])
    if not foci:
        yield from (_from_entry(entry, None, None) for entry in entries if mapping(entry, "resource"))
    for number, focus in foci:
        reference = _own(focus, base)
        entry = resources.get(focus) or _matching(entries, reference)
        yield _from_entry(entry, status["subscription"], f"{status['subscription']}#{number}" if number else None, reference)


def _status(bundle: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    entries = list(mappings(bundle, "entry"))
    first = mapping(entries[0], "resource") if entries else None
    if first is None:
        raise Rejected("not_fhir", "a notification Bundle without a status")
    kind = first.get("resourceType")
    if kind == "Parameters":
        return _parameters_status(first), entries[1:]
    if kind in ("SubscriptionStatus", "AidboxSubscriptionStatus"):
        return _subscription_status(first), entries[1:]
    return {"type": None, "subscription": None, "foci": []}, entries


def _parameters_status(parameters: dict[str, Any]) -> dict[str, Any]:
    named = {string(p, "name"): p for p in mappings(parameters, "parameter")}
    foci = []
    for event in (p for p in mappings(parameters, "parameter") if p.get("name") == "notification-event"):
        parts = {string(p, "name"): p for p in mappings(event, "part")}
        focus = string(parts.get("focus"), "valueReference", "reference")
        if focus:
            foci.append((string(parts.get("event-number"), "valueString"), focus))
    subscription = string(named.get("subscription"), "valueReference", "reference")
    return {"type": string(named.get("type"), "valueCode"), "subscription": subscription, "foci": foci}


def _subscription_status(status: dict[str, Any]) -> dict[str, Any]:
    events = list(mappings(status, "notificationEvent"))
    foci = [(str(e.get("eventNumber") or ""), focus) for e in events if (focus := string(e, "focus", "reference"))]
    return {"type": string(status, "type"), "subscription": string(status, "subscription", "reference"), "foci": foci}


def _from_entry(entry: dict[str, Any] | None, source: str | None, ident: str | None, reference: Reference | None = None) -> Notified:
    resource = mapping(entry, "resource")
    if reference is None:
        reference = Reference(string(resource, "resourceType") or "", string(resource, "id") or "")
    deleted = (string(entry, "request", "method") or "").upper() == "DELETE"
    return Notified(reference.type, reference.id, resource, "delete" if deleted else "upsert", source, ident)


def _own(focus: str, base: str) -> Reference:
    try:
        reference = parse(focus, base)
    except ForeignBase:
        raise Rejected("foreign_base", "the notified resource is on another server") from None
    if reference is None:
        raise Rejected("not_fhir", "the notified reference is not Type/id")
    return reference


def _matching(entries: list[dict[str, Any]], reference: Reference) -> dict[str, Any] | None:
    for entry in entries:
        resource = mapping(entry, "resource")
        if resource and resource.get("resourceType") == reference.type and resource.get("id") == reference.id:
            return entry
    return None
