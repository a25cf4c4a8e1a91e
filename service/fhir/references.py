"""References, in the forms that servers really send, against one EHR base (FHIR R4 §2.3.0)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.fhir.elements import Json, is_id, string

_RELATIVE = re.compile(
    r"(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A resource of this EHR."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


class ForeignBase(ValueError):
    """An absolute reference to another server: one deployment serves one EHR."""


def parse(text: str, base: str) -> Reference | None:
    """`Type/id`, with or without our base and a version. None for fragments, `urn:` and conditional references.

    Raises ForeignBase. `base` is compared without scheme, default port and trailing slash, since proxies change them.
    """
    if "://" in text:
        rest, own = _without_scheme(text), _without_scheme(base.rstrip("/") + "/")
        if not rest.startswith(own):
            raise ForeignBase("an absolute reference to another base")
        text = rest.removeprefix(own)
    match = _RELATIVE.fullmatch(text)
    return Reference(match["type"], match["id"]) if match and is_id(match["id"]) else None


def referenced(resource: Json | None, *path: str | int, base: str) -> Reference | None:
    """The literal reference at `path.reference`. Raises ForeignBase."""
    text = string(resource, *path, "reference")
    return parse(text, base) if text else None


def _without_scheme(url: str) -> str:
    """Host names know no case; paths do."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    host = host.lower().removesuffix(":443" if scheme.lower() == "https" else ":80")
    return host + slash + path
