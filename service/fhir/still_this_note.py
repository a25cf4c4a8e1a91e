"""After a profile has shaped it, a resource is still this note: in this chart, with these words, vouched for by nobody.

`service/fhir/beyond_profiles.py` refuses profiles that say otherwise; here each note is looked at, in case one came through.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.fhir.codes import NOTE_SYSTEM, URI
from service.fhir.element_paths import found
from service.fhir.elements import Json, element, mappings
from service.fhir.note import Note, derived_oid
from service.fhir.profile import Profile

Words = list[tuple[Any, ...]]


def words_of(resource: Json) -> Words:
    """Content type, base64 and url of each content, and the narrative. What stands at a url no profile reaches."""
    attachments = [one.get("attachment") or {} for one in mappings(resource, "content")]
    words: Words = [(one.get("contentType"), one.get("data"), one.get("url")) for one in attachments]
    return [*words, (element(resource, "text", "div"),)]


def refuse_another_note(resource: Json, note: Note, profile: Profile, said: Words) -> None:
    """`said` is what `words_of` were before. Raises ValueError naming the elements, never their values."""
    changed = [*_identity(resource, note, profile), *_surroundings(resource, note)]
    before, now = said, words_of(resource)
    changed += [name for name, part in (("content", slice(-1)), ("text", slice(-1, None))) if before[part] != now[part]]
    if changed:
        raise ValueError(f"not this note any more: {', '.join(changed)}")


def _identity(resource: Json, note: Note, profile: Profile) -> Iterator[str]:
    for name, own in (("subject", {"reference": note.patient}), ("status", "current"), ("authenticator", None)):
        if resource.get(name) != own:
            yield name
    identifiers = [{"system": NOTE_SYSTEM, "value": note.identifier}]
    if resource.get("identifier") != (None if "identifier" in profile.forbidden else identifiers):
        yield "identifier"


def _surroundings(resource: Json, note: Note) -> Iterator[str]:
    """What may be missing, and is the note's own where it is not."""
    master = {"system": URI, "value": derived_oid(note.identifier, "document")}
    replaced = {"code": "replaces", "target": {"reference": note.replaces}}
    own: dict[str, list[Any]] = {
        "masterIdentifier": [master],
        "author": list(note.authors),
        "relatesTo": [replaced] if note.replaces else [],
        "context.encounter": [{"reference": note.encounter}] if note.encounter else [],
        "context.sourcePatientInfo": [{"reference": note.patient}],
    }
    for path, allowed in own.items():
        sent = [one for value in found(resource, path) for one in (value if isinstance(value, list) else [value])]
        if any(one not in allowed for one in sent):
            yield path
