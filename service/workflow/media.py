"""Which Media of a visit are recordings to work on, and which are still coming (FHIR R4 event-status)."""

from __future__ import annotations

from dataclasses import dataclass

from service.fhir.elements import element, mapping, string
from service.workflow.visit import Fact

WITHDRAWN = ("entered-in-error", "not-done")
_ENDED = {"completed", "stopped"}


@dataclass(frozen=True, slots=True)
class Recordings:
    """`any`: something is here or still coming, so the visit is to have a note."""

    available: tuple[Fact, ...]
    without_content: tuple[Fact, ...]
    in_progress: tuple[Fact, ...]

    @property
    def any(self) -> bool:
        return bool(self.available or self.without_content or self.in_progress)

    @property
    def all(self) -> tuple[Fact, ...]:
        return self.available + self.without_content + self.in_progress


def sort_media(media: tuple[Fact, ...]) -> Recordings:
    """Leaves out what is no recording (images), was not done, or was withdrawn (entered in error, deleted).

    A `stopped` recording counts only with content: it may hold the first half of a visit. A status that FHIR does not
    know is awaited like one that is under way: a person hears of it when the wait ends.
    """
    sound = [m for m in media if m.status not in WITHDRAWN and _may_be_sound(m)]
    ended = [m for m in sound if m.status in _ENDED]
    return Recordings(
        available=tuple(m for m in ended if has_content(m)),
        without_content=tuple(m for m in ended if not has_content(m) and m.status == "completed"),
        in_progress=tuple(m for m in sound if m.status not in _ENDED),
    )


def has_content(media: Fact) -> bool:
    content = mapping(media.resource, "content")
    if content is None or content.get("size") == 0:
        return False
    url, data = content.get("url"), content.get("data")
    if (isinstance(data, str) and data) or (isinstance(url, str) and url[:5].lower() == "data:"):
        return True
    return string(content, "url") is not None


def _may_be_sound(media: Fact) -> bool:
    """Audio, video, or not said: a wrong or missing content type is found out when the audio is decoded."""
    content_type = (string(media.resource, "content", "contentType") or "").lower()
    kind = element(media.resource, "type", "coding", 0, "code")
    return kind != "image" and not content_type.startswith(("image/", "application/pdf", "application/dicom", "text/"))
