"""The note's contents: one attachment for each content type that the profile wants, inline or as a Binary of its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from service.fhir.elements import Json
from service.fhir.note import Note, derived_urn
from service.fhir.note_pdf import note_pdf
from service.fhir.note_text import note_text, note_title
from service.fhir.note_xhtml import note_page
from service.fhir.profile import Profile
from service.fhir.times import instant
from service.fhir.unmet import NoteTooLarge

_WRITTEN: dict[str, Callable[[Note], bytes]] = {
    "text/plain": lambda note: note_text(note).encode(),
    "application/xhtml+xml": note_page,
    "application/pdf": note_pdf,
}


def attached(note: Note, profile: Profile) -> tuple[list[Json], tuple[tuple[str, Json], ...]]:
    """`DocumentReference.content`, and the Binary of each with its urn where the profile wants them apart.

    Raises NoteTooLarge; ValueError for a character that no font of a PDF has.
    """
    contents: list[Json] = []
    binaries: list[tuple[str, Json]] = []
    for kind in profile.contents:
        raw = _WRITTEN[kind.partition(";")[0]](note)
        if len(raw) > profile.largest:
            raise NoteTooLarge(len(raw), profile.largest, profile.name)
        data = base64.b64encode(raw).decode()
        urn = derived_urn(note.identifier, kind)
        if not profile.inline:
            binaries.append((urn, {"resourceType": "Binary", "contentType": kind, "data": data}))
        contents.append(_content(note, profile, kind, raw, {"data": data} if profile.inline else {"url": urn}))
    return contents, tuple(binaries)


def _content(note: Note, profile: Profile, kind: str, raw: bytes, where: Json) -> Json:
    attachment = {
        "contentType": kind,
        "language": note.language,
        **where,
        "size": len(raw),
        "hash": base64.b64encode(
            hashlib.sha1(raw, usedforsecurity=False).digest()
        ).decode(),  # FHIR R4 Attachment.hash is SHA-1
        "title": note_title(note),
        "creation": instant(note.written_at),
    }
    content: Json = {"attachment": attachment}
    if profile.format:
        content["format"] = profile.format.model_dump(exclude_none=True)
    return content
