"""The plain event that every accepted shape becomes: which resource, which version, what happened to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from service.errors import Ignored, Rejected
from service.fhir.elements import element, is_id, string
from service.fhir.recordings import as_media, is_audio_document, is_own_note
from service.fhir.references import ForeignBase, Logical, Reference, Unreadable, meant
from service.fhir.times import moment

READ = frozenset({"Media", "Encounter"})
AUDIO_DOCUMENT = "DocumentReference"
Operation = Literal["upsert", "delete"]
_LONGEST_NAME = 512


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one resource. (`source`, `id`) names the event; `resource` is None when only a pointer came.

    `encounter` is the id of the Encounter that the resource belongs to, where the resource says so; `unresolved`: it
    names one that only the EHR can find. `recurs`: its name is only its content, or it points without saying a version, so
    what looks like a repetition may be news: a resource changed and changed back.
    """

    source: str
    id: str
    type: str
    resource_id: str
    version: str | None
    last_updated: str | None
    operation: Operation
    resource: dict[str, Any] | None
    encounter: str | None
    unresolved: bool = False
    recurs: bool = False

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.resource_id}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the event says: tells a repeated event from a conflicting one, whatever envelope it came in."""
        said = orjson.dumps([self.operation, self.reference, self.version, self.resource], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(said).hexdigest()


@dataclass(frozen=True, slots=True)
class Origin:
    """What an envelope knows about the event inside it; what it does not know is worked out from the resource.

    `operation` is None where the envelope names none: then it is what `routed` says. `audio_documents`: a
    DocumentReference that holds audio is read too.
    """

    base: str
    body_sha256: str
    operation: Operation | None = None
    source: str | None = None
    id: str | None = None
    audio_documents: bool = False
    routed: Operation = "upsert"

    @property
    def is_delete(self) -> bool:
        return (self.operation or self.routed) == "delete"


def from_resource(resource: dict[str, Any], origin: Origin) -> Event:
    """The event for a whole resource. Raises Ignored (`type_not_read`), Rejected (`not_fhir`, `foreign_base`)."""
    kind, ident = string(resource, "resourceType"), resource.get("id")
    if kind is None or not kind.isalpha():
        raise Rejected("not_fhir", "resourceType is missing")
    _refuse_unread(kind, origin)
    if not is_id(ident):
        raise Rejected("not_fhir", f"{kind}.id is missing or not a FHIR id")
    if not string(resource, "status") and not origin.is_delete:
        raise Rejected("not_fhir", f"{kind}.status is missing")
    version, updated = element(resource, "meta", "versionId"), string(resource, "meta", "lastUpdated")
    if kind == AUDIO_DOCUMENT:
        if _is_bare_withdrawal(resource):
            return from_pointer(kind, str(ident), version if isinstance(version, str) else None, origin, updated)
        if not is_audio_document(resource):
            raise Ignored("type_not_read")
        resource = as_media(resource)
    named = _encounter(kind, str(ident), resource, origin.base)
    return _event(kind, str(ident), version if is_id(version) else None, updated, origin, resource, named)


def from_pointer(kind: str, ident: str, version: str | None, origin: Origin, updated: str | None = None) -> Event:
    """The event for a resource that did not come along; it will be read from the EHR."""
    _refuse_unread(kind, origin)
    if not is_id(ident):
        raise Rejected("not_fhir", f"{kind} id is not a FHIR id")
    named = Reference(kind, ident) if kind == "Encounter" else None
    return _event(kind, ident, version if is_id(version) else None, updated, origin, None, named)


def _refuse_unread(kind: str, origin: Origin) -> None:
    if kind not in READ and not (kind == AUDIO_DOCUMENT and origin.audio_documents):
        raise Ignored("type_not_read")


def _is_bare_withdrawal(document: dict[str, Any]) -> bool:
    """A note or a recording that was deleted, or entered in error and cut down to its status (US Core 9 allows it): what
    it was the EHR or an earlier event may know."""
    return (
        document.get("status") in (None, "entered-in-error")
        and not document.get("content")
        and not is_own_note(document)
    )


Named = Reference | Logical | Unreadable | None


def _event(
    kind: str, ident: str, version: str | None, updated: str | None, origin: Origin, resource: dict[str, Any] | None, encounter: Named
) -> Event:  # fmt: skip
    updated = updated if moment(updated) else None
    own_id = (
        f"{kind}/{ident}/_history/{version}"
        if version
        else f"{kind}/{ident}@{updated}"
        if updated
        else origin.body_sha256
    )
    if origin.is_delete:
        own_id, resource = f"{own_id}#delete", None
    return Event(
        source=bounded(origin.source or origin.base),
        id=bounded(origin.id or own_id),
        type=kind,
        resource_id=ident,
        version=version,
        last_updated=updated,
        operation="delete" if origin.is_delete else "upsert",
        resource=resource,
        encounter=encounter.id if isinstance(encounter, Reference) and encounter.type == "Encounter" else None,
        unresolved=isinstance(encounter, Logical | Unreadable),
        recurs=not (version or updated) and (resource is None or not origin.id),
    )


def bounded(name: str) -> str:
    """Cut off, two long names could become one."""
    if any(ord(character) < 32 for character in name):
        raise Rejected("not_fhir", "the event's name holds a control character")
    return (
        name
        if len(name) <= _LONGEST_NAME
        else f"sha256:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
    )


def _encounter(kind: str, ident: str, resource: dict[str, Any], base: str) -> Named:
    if kind == "Encounter":
        return Reference(kind, ident)
    try:
        return meant(resource, "encounter", base)
    except ForeignBase:
        raise Rejected("foreign_base", f"{kind}.encounter names another server") from None
