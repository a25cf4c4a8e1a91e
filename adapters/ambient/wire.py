"""The wire's objects read leniently into the workflow's, and back. Missing or misshapen parts raise Retryable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from adapters.ambient.refusals import unreadable
from service.workflow.ports import Document, NoteSection, Transcript

_SEGMENT = ("text", "channel", "participant", "speakerId", "start", "end", "id", "role")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@contextmanager
def misshapen_is_retryable() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError):
        raise unreadable() from None


def context_item(segment: Mapping[str, Any]) -> dict[str, Any]:
    """One context object for each segment; our extras `id` and `role` only where the transcript carried them."""
    data = {name: segment[name] for name in _SEGMENT if segment.get(name) is not None}
    return {"type": "transcript", "data": data}


def interaction_body(
    identifier: str, patient: str, started_at: str | None, ended_at: str | None, kind: str
) -> dict[str, Any]:
    """A period needs a start with at least a date; without one none is sent."""
    status = "completed" if ended_at else "in-progress"
    encounter: dict[str, Any] = {"identifier": identifier, "status": status, "type": kind}
    if started_at and len(started_at) >= len("2026-01-01"):
        encounter["period"] = {"startedAt": started_at}
        if ended_at and len(ended_at) >= len("2026-01-01"):
            encounter["period"]["endedAt"] = ended_at
    return {"encounter": encounter, **({"patient": {"identifier": patient}} if patient else {})}


def transcript(body: Mapping[str, Any]) -> Transcript:
    with misshapen_is_retryable():
        status = body["status"]
        if status not in ("processing", "completed", "failed"):
            raise ValueError("unknown status")
        roles = (body.get("metadata") or {}).get("participantsRoles") or ()
        return Transcript(
            id=str(body["id"]),
            recording_id=str(body["recordingId"]),
            status=status,
            segments=tuple(body.get("transcripts") or ()) if status == "completed" else (),
            roles={int(role["channel"]): str(role["role"]) for role in roles},
            progress=body.get("progress"),
            reason=_code(body.get("reason")),
        )


def _code(reason: object) -> str | None:
    """Free text may be what somebody said, and this is logged and shown."""
    return reason if isinstance(reason, str) and _CODE.fullmatch(reason) else None


def document(body: Mapping[str, Any], template: str | None = None) -> Document:
    """`template` is the key that was asked for: the cloud may answer with an id of its own."""
    with misshapen_is_retryable():
        sections = sorted(body["sections"], key=lambda section: section.get("sort") or 0)
        return Document(
            id=str(body["id"]),
            name=str(body["name"]),
            template=template or str(body["templateRef"]),
            language=str(body["outputLanguage"]),
            sections=tuple(_section(section) for section in sections),
        )


def _section(section: Mapping[str, Any]) -> NoteSection:
    return NoteSection(
        key=str(section["key"]),
        name=str(section["name"]),
        text=str(section.get("text") or ""),
        evidence=tuple(section.get("evidence") or ()),
    )
