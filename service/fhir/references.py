"""References, in the forms that servers really send, against one EHR base (FHIR R4 §2.3.0)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from service.fhir.elements import Json, is_id, mapping, mappings, string

_TYPE = r"[A-Z][A-Za-z]{1,63}"
_RELATIVE = re.compile(
    rf"(?P<type>{_TYPE})/(?P<id>[A-Za-z0-9\-.]{{1,64}})(?:/_history/(?P<version>[A-Za-z0-9\-.]{{1,64}}))?"
)
_CONDITIONAL = re.compile(rf"(?P<type>{_TYPE})\?identifier=(?P<token>[^&#]+)")
_MOST_IDENTIFIERS = 10
"""Each is a search of its own."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A resource of this EHR."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Logical:
    """A resource named by business identifiers alone, all of them its own: `tokens` are `system|value`, `type` is None where
    nobody says it."""

    type: str | None
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A reference that leads nowhere from here; `form` says how it is made, never what is in it."""

    form: str


class ForeignBase(ValueError):
    """An absolute reference to another server: one deployment serves one EHR."""


def parse(text: str, base: str) -> Reference | None:
    """`Type/id`, with or without our base and a version. None for fragments, `urn:` and conditional references.

    Raises ForeignBase. `base` is compared without scheme, default port and trailing slash, since proxies change them.
    """
    match = _RELATIVE.fullmatch(_local(text, base))
    return Reference(match["type"], match["id"]) if match and is_id(match["id"]) else None


def referenced(resource: Json | None, *path: str | int, base: str) -> Reference | None:
    """The literal reference at `path.reference`. Raises ForeignBase."""
    text = string(resource, *path, "reference")
    return parse(text, base) if text else None


def meant(resource: Json | None, element: str, base: str) -> Reference | Logical | Unreadable | None:
    """What the Reference at `element` names. None where there is none, or it only displays a name. Raises ForeignBase.

    A literal reference goes before an identifier. A contained resource has no identity of its own outside of what
    contains it (FHIR R4 §2.3.0.5), whatever its id: only its business identifiers say who it is. An identifier of `use` old
    is no longer valid (FHIR R4, value set identifier-use) and names nobody.
    """
    given = mapping(resource, element)
    text = string(given, "reference")
    literal = parse(text, base) if text else None
    if literal:
        return literal
    kind, tokens = _conditional(_local(text, base)) if text else (None, ())
    if not tokens:
        kind, tokens = _contained(resource, text)
    own = token_of(mapping(given, "identifier"))
    tokens = tuple(dict.fromkeys([*tokens, *([own] if own else [])]))
    if len(tokens) > _MOST_IDENTIFIERS:
        return Unreadable("contained, with too many identifiers")
    if tokens:
        return Logical(kind or _type(string(given, "type")), tokens)
    return _unreadable(given, text) if given is not None else None


def token_of(identifier: Json | None) -> str | None:
    """`system|value` of an identifier that is in use. Without its system it says nothing: other systems may use the same
    value."""
    system, value = string(identifier, "system"), string(identifier, "value")
    if not (system and value) or "|" in system or string(identifier, "use") == "old":
        return None
    return f"{system}|{value}"


def contradicts(resource: Json | None, element: str, target: Json | None) -> bool:
    """Whether the Reference at `element` gives an identifier that `target`, to which it leads, does not have, while it has
    another of the same system."""
    named = token_of(mapping(resource, element, "identifier"))
    held = [token for one in mappings(target, "identifier") if (token := token_of(one))]
    return named is not None and named not in held and any(t.startswith(named.partition("|")[0] + "|") for t in held)


def host_of(base: str) -> str:
    """Lower case, without the scheme's own port."""
    return _without_scheme(base).partition("/")[0]


def _unreadable(given: Json, text: str | None) -> Unreadable | None:
    if text:
        forms = {"#": "contained, without an identifier in use", "urn:": "a urn that is not in its Bundle"}
        fitting = (form for start, form in forms.items() if text.startswith(start))
        return Unreadable(next(fitting, "conditional" if "?" in text else "malformed"))
    return Unreadable("an identifier that is old, or without system or value") if mapping(given, "identifier") else None


def _conditional(text: str) -> tuple[str | None, tuple[str, ...]]:
    """`Type?identifier=system|value` and nothing beside it (FHIR R4 §3.1.0.11.3): what else is searched for may be many."""
    match = _CONDITIONAL.fullmatch(text)
    system, _, value = unquote(match["token"]).partition("|") if match else ("", "", "")
    return (match["type"], (f"{system}|{value}",)) if match and system and value else (None, ())


def _contained(resource: Json | None, text: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Type and identifiers of the one that `#id` names; an id that several have names none."""
    named = [one for one in mappings(resource, "contained") if text and text[:1] == "#" and one.get("id") == text[1:]]
    if len(named) != 1:
        return None, ()
    tokens = (token_of(identifier) for identifier in mappings(named[0], "identifier"))
    return _type(string(named[0], "resourceType")), tuple(token for token in tokens if token)


def _type(said: str | None) -> str | None:
    return said if said and re.fullmatch(_TYPE, said) else None


def _local(text: str, base: str) -> str:
    """Without our base. Raises ForeignBase for another one."""
    if "://" not in text.partition("?")[0]:
        return text
    rest, own = _without_scheme(text), _without_scheme(base.rstrip("/") + "/")
    if not rest.startswith(own):
        raise ForeignBase("an absolute reference to another base")
    return rest.removeprefix(own)


def _without_scheme(url: str) -> str:
    """Host names know no case; paths do."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    host = host.lower().removesuffix(":443" if scheme.lower() == "https" else ":80")
    return host + slash + path
