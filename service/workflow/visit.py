"""What is known about a visit: its facts (the latest word on each of its resources) and the steps taken so far."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from service.fhir.elements import Json, element, mapping, string
from service.fhir.security_labels import labels_said
from service.fhir.times import moment
from service.workflow.measured import digest_said
from service.workflow.signed_urls import without_query, without_signature

WriteState = Literal["planned", "sending", "filed", "rejected", "unknown"]
RECORDINGS = ("Media", "DocumentReference")
"""What may be a recording. A DocumentReference is told as the Media that it stands for (`service.fhir.recordings`)."""
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
    """A step taken (`finished_at` set) or intended. `result` holds ids and hashes, never clinical text.

    `write` is the ledger's entry for a step that writes to the EHR.
    """

    name: str
    started_at: datetime
    finished_at: datetime | None
    attempts: int
    result: Mapping[str, Any]
    write: Write | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """A write to the EHR, noted before its request was sent, `ago` seconds ago by the database's clock.

    `sending` without a run under way is as good as `unknown`; `planned` again: it was not carried out, as the EHR or a
    person says. `sent` says how to find it again, as `service.workflow.lookup.traces` makes it; `adopt` in it is the
    reference under which a person says that it stands.
    """

    state: WriteState
    ago: float
    sent: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_doubt(self) -> bool:
        """Of a step without a result; `filed` then: the run ended before it could say where."""
        return self.state in ("sending", "unknown", "filed")


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit under a lease. `fence` names this lease in every write; `revision` counts the facts stored so far.

    It has `waited` seconds for what it is `waiting_for`; a failure in between does not start that clock again.
    `steps` are as earlier runs left them; `intended` names those whose intent the claim has committed for this run.
    """

    id: str
    key: str
    fence: int
    revision: int
    attempts: int
    waiting_for: str | None
    waited: float
    facts: tuple[Fact, ...] = ()
    steps: Mapping[str, Step] = field(default_factory=dict)
    intended: frozenset[str] = frozenset()

    @property
    def encounter_id(self) -> str | None:
        """None for a recording that names no Encounter."""
        kind, _, ident = self.key.partition("/")
        return ident if kind == "Encounter" else None

    @property
    def encounter(self) -> Fact | None:
        return next((fact for fact in self.facts if fact.reference == self.key and fact.type == "Encounter"), None)

    @property
    def media(self) -> tuple[Fact, ...]:
        """In the order in which they were recorded, as far as the resources say; else by id."""
        return tuple(sorted((f for f in self.facts if f.type in RECORDINGS), key=lambda f: (_recorded_at(f), f.id)))

    def knowing(self, fact: Fact) -> Visit:
        """This visit with one fact replaced or added."""
        return replace(self, facts=(*(f for f in self.facts if f.reference != fact.reference), fact))


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that this run began so many seconds ago (None: an earlier one did), and its result once there is one."""

    name: str
    began: float | None
    ended: float = 0.0
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run has not saved yet: the steps it took, those it was to take and never began, and what became of writes
    that were noted as `sending`."""

    taken: Sequence[Taken] = ()
    untouched: Sequence[str] = ()
    writes: Mapping[str, WriteState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a run of the reconciler ends for its visit. It is due `next_in` seconds from now, None for never by itself.

    `waiting_on` is the destination that it waits for: it is not claimed while that is parked.
    """

    state: str
    reason: str | None
    detail: str | None
    next_in: float | None
    attempts: int
    waiting_for: str | None = None
    waiting_on: str | None = None


def visit_id(ehr: str, key: str) -> str:
    """A visit is (EHR, Encounter id); `ehr` is `Ehr.name`, and `key` is `Encounter/<id>`, or that of its recording where no Encounter is known."""
    return str(uuid.uuid5(_VISITS, f"{ehr.rstrip('/')}|{key}"))


def is_newer(candidate: Fact, known: Fact) -> bool:
    """Whether `candidate` may replace `known`: by numeric versionId, else by lastUpdated, else the later arrival wins.

    Of the same version a deletion is the last word, and a pointer without a resource replaces no resource.
    """
    if candidate.version and candidate.version == known.version:
        return _adds(candidate, known)
    numbers = _number(candidate.version), _number(known.version)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] > numbers[1]
    moments = moment(candidate.last_updated), moment(known.last_updated)
    if moments[0] and moments[1]:
        return moments[0] > moments[1] if moments[0] != moments[1] else candidate.deleted >= known.deleted
    return True


def is_older(one: Fact, other: Fact) -> bool:
    """Whether the versionId of `one` is lower, or without numbers its lastUpdated a second earlier or more: some write less
    than a second. False where nothing tells.

    A lower versionId with a later lastUpdated is no older version: the server numbers anew.
    """
    numbers = _number(one.version), _number(other.version)
    moments = moment(one.last_updated), moment(other.last_updated)
    ahead = (moments[0] - moments[1]).total_seconds() if moments[0] and moments[1] else None
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] < numbers[1] and not (ahead and ahead > 0)
    same = one.version is not None and one.version == other.version
    return not same and ahead is not None and ahead <= -1


def _adds(candidate: Fact, known: Fact) -> bool:
    if candidate.deleted != known.deleted:
        return candidate.deleted
    return candidate.resource is not None and known.resource is None


def _number(version: str | None) -> int | None:
    return int(version) if version and version.isascii() and version.isdecimal() and len(version) <= 64 else None


def meaning(fact: Fact) -> object:
    """What a resource says, without what servers change at every read: two facts of one meaning are the same news."""
    said = {name: value for name, value in (fact.resource or {}).items() if name not in ("meta", "text", "content")}
    return said, labels_said(fact.resource), element(fact.resource, "content", "contentType"), content_key(fact)


def content_key(media: Fact) -> str:
    """Changes when the recording behind a Media changes, and with nothing else about it.

    Servers that hand out signed URLs sign anew at every read; the signature says nothing about the recording. Beside a hash
    that can be read the whole query does not. Steps are named by this key: what changes it lets a recording be taken again.
    """
    content = mapping(media.resource, "content") or {}
    named = [str(element(content, part)) for part in ("url", "hash", "size", "data")]
    named[0] = without_signature(named[0]) if digest_said(content) is None else without_query(named[0])
    name = media.id if media.type == "Media" else media.reference
    return hashlib.sha256("|".join([name, *named]).encode()).hexdigest()[:16]


def _recorded_at(media: Fact) -> datetime:
    places = (("createdPeriod", "start"), ("createdDateTime",), ("issued",))
    moments = (moment(string(media.resource, *place)) for place in places)
    return next((known for known in moments if known), datetime.min.replace(tzinfo=UTC))
