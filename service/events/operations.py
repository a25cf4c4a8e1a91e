"""What happened to a resource, in the words of whoever tells it."""

from __future__ import annotations

from service.events.event import Operation

_UPSERTS = ("create", "update", "patch", "manually_triggered", "transaction")


def named_operation(name: str | None) -> Operation | None:
    """An event type or operation in words: `…ResourceDeleted`, `DELETE`, `fhir.Media.update`. None when it does not say."""
    lowered = (name or "").lower()
    if "delete" in lowered:
        return "delete"
    return "upsert" if any(word in lowered for word in _UPSERTS) else None


def routed_operation(routing_key: str | None) -> Operation:
    return "delete" if (routing_key or "").lower().endswith(".delete") else "upsert"
