"""A note before it is FHIR: what the workflow knows of it, and the identifier it will always have."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.fhir.codes import NOTE_SYSTEM

_NOTES = uuid.UUID("0b7f7c0e-54a0-5d5e-8f0b-3f6c0c1f2a11")


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be filed. References are `Type/id`; `sections` are (heading, text) in order; `written_at` is aware.

    `custodian` is the Organization that keeps the chart (`AMBIENT_EHR__ORGANIZATION`). `labels` are Codings beside the one
    that says a machine wrote it, for `meta.security`.
    """

    identifier: str
    template: str
    title: str
    language: str
    sections: Sequence[tuple[str, str]]
    patient: str
    encounter: str | None
    period: Mapping[str, Any] | None
    media: Sequence[str]
    authors: Sequence[Mapping[str, Any]]
    written_at: datetime
    replaces: str | None = None
    custodian: str | None = None
    labels: Sequence[Mapping[str, Any]] = ()


def note_identifier(ehr: str, visit_key: str, template: str, revision: str) -> str:
    """The business identifier's value: the same visit, template and content revision always give the same one."""
    return str(uuid.uuid5(_NOTES, "|".join([ehr.rstrip("/"), visit_key, template, revision])))


def search_token(identifier: str) -> str:
    """`system|value`, as searches and If-None-Exist take it."""
    return f"{NOTE_SYSTEM}|{identifier}"


def derived_urn(identifier: str, part: str) -> str:
    """`urn:uuid:…` for a part of the note: the same note and part always give the same one."""
    return f"urn:uuid:{uuid.uuid5(_NOTES, f'{identifier}|{part}')}"


def derived_oid(identifier: str, part: str) -> str:
    """The same as an OID under 2.25, the arc of UUIDs (ITU-T X.667 §6.3), for those who want OIDs."""
    return f"urn:oid:2.25.{uuid.uuid5(_NOTES, f'{identifier}|{part}').int}"
