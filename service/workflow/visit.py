"""What is known about a visit: its facts (the latest word on each of its resources) and the steps taken so far."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from service.fhir.elements import Json, element, mapping, string

_VISITS = uuid.UUID("6f1d2f3a-5a3e-5f0b-9c55-0c6f3f6b7f10")


@dataclass(frozen=True, slots=True)
class Fact:
    """The latest version of one resource that belongs to a visit. `resource` is None when only a pointer came yet."""

    type: str
    id: str
    version: str | None
    last_updated: str | None
    deleted: bool
    resource: Json | None

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def status(self) -> str | None:
        return "entered-in-error" if self.deleted else string(self.resource, "status")


@dataclass(frozen=True, slots=True)
class Step:
    """A step taken (`finished_at` set) or intended. `result` holds ids and hashes, never clinical text."""

    name: str
    started_at: datetime
    finished_at: datetime | None
    attempts: int
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit under a lease. `fence` names this lease in every write; `revision` counts the facts stored so far."""

    id: str
    key: str
    fence: int
    revision: int
    attempts: int
    reason: str | None
    waited: float
    facts: tuple[Fact, ...] = ()
    steps: Mapping[str, Step] = field(default_factory=dict)

    @property
    def encounter_id(self) -> str | None:
        """None for a Media that names no Encounter."""
        kind, _, ident = self.key.partition("/")
        return ident if kind == "Encounter" else None

    @property
    def encounter(self) -> Fact | None:
        return next((fact for fact in self.facts if fact.reference == self.key and fact.type == "Encounter"), None)

    @property
    def media(self) -> tuple[Fact, ...]:
        """In the order in which they were recorded, as far as the resources say; else by id."""
        return tuple(sorted((f for f in self.facts if f.type == "Media"), key=lambda f: (_recorded_at(f), f.id)))

    def knowing(self, fact: Fact) -> Visit:
        """This visit with one fact replaced or added."""
        return replace(self, facts=(*(f for f in self.facts if f.reference != fact.reference), fact))


def visit_id(ehr: str, key: str) -> str:
    """A visit is (EHR, Encounter id); `ehr` is `Ehr.name`, and `key` is `Encounter/<id>`, or `Media/<id>` where no Encounter is known."""
    return str(uuid.uuid5(_VISITS, f"{ehr.rstrip('/')}|{key}"))


def is_newer(candidate: Fact, known: Fact) -> bool:
    """Whether `candidate` may replace `known`: by numeric versionId, else by lastUpdated, else the later arrival wins.

    A pointer without a resource never replaces a resource of the same version.
    """
    if candidate.version and known.version and candidate.version.isdecimal() and known.version.isdecimal():
        if int(candidate.version) != int(known.version):
            return int(candidate.version) > int(known.version)
        return candidate.deleted > known.deleted or (candidate.resource is not None and known.resource is None)
    if candidate.last_updated and known.last_updated:
        return candidate.last_updated >= known.last_updated
    return True


def content_key(media: Fact) -> str:
    """Changes when the recording behind a Media changes, and with nothing else about it."""
    content = mapping(media.resource, "content") or {}
    named = [str(element(content, part)) for part in ("url", "hash", "size", "data")]
    return hashlib.sha256("|".join([media.id, *named]).encode()).hexdigest()[:16]


def _recorded_at(media: Fact) -> str:
    return (
        string(media.resource, "createdPeriod", "start") or string(media.resource, "createdDateTime") or string(media.resource, "issued") or ""
    )
