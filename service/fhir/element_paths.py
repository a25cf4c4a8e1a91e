"""Elements of a DocumentReference by their path, such as `context.period.end`; every item of a list on the way is meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ELEMENTS = frozenset({
    "meta", "meta.profile", "meta.security", "meta.tag", "language", "text", "extension", "masterIdentifier", "identifier",
    "status", "docStatus", "type", "type.coding", "type.text", "category", "subject", "date", "author", "authenticator",
    "custodian", "relatesTo", "description", "securityLabel", "content", "content.format", "content.attachment",
    "content.attachment.contentType", "content.attachment.language", "content.attachment.data", "content.attachment.url",
    "content.attachment.size", "content.attachment.hash", "content.attachment.title", "content.attachment.creation",
    "context", "context.encounter", "context.event", "context.period", "context.period.start", "context.period.end",
    "context.facilityType", "context.practiceSetting", "context.sourcePatientInfo", "context.related",
})  # fmt: skip
"""What a profile may name (FHIR R4 DocumentReference)."""


def found(resource: dict[str, Any], path: str) -> list[Any]:
    """What stands there, once for each item of the lists on the way; nothing where it is missing or empty."""
    here: list[Any] = [resource]
    for name in path.split("."):
        here = [value for item in _items(here) if isinstance(item, dict) and (value := item.get(name)) not in _EMPTY]
    return here


def present(resource: dict[str, Any], path: str) -> bool:
    """Whether each item on the way has it: an element of `content` must be in every one of them."""
    *above, last = path.split(".")
    holders = list(_items(found(resource, ".".join(above)))) if above else [resource]
    return bool(holders) and all(isinstance(one, dict) and one.get(last) not in _EMPTY for one in holders)


def put(resource: dict[str, Any], path: str, value: Any) -> None:
    """Sets it in each item of the lists on the way; objects that are missing on the way are made."""
    *above, last = path.split(".")
    here: list[Any] = [resource]
    for name in above:
        here = list(_items([item.setdefault(name, {}) for item in here]))
    for holder in here:
        holder[last] = value


def leave_out(resource: dict[str, Any], path: str) -> None:
    """Takes it away, and what is empty without it."""
    above, _, last = path.rpartition(".")
    for holder in list(_items(found(resource, above))) if above else [resource]:
        if isinstance(holder, dict):
            holder.pop(last, None)
    if above and all(one in _EMPTY for one in _items(found(resource, above))):
        leave_out(resource, above)


def _items(values: list[Any]) -> Iterator[Any]:
    for value in values:
        yield from value if isinstance(value, list) else [value]


_EMPTY: tuple[Any, ...] = (None, [], {}, "")
