"""What each type can be found by, how a resource is indexed for it, and how a query is read.

Token and reference parameters only, as R4 defines them: `system|value`, `|value`, `value`, `system|`; `Type/id`, `id`
or a URL. A comma means or, a repeated parameter means and. Modifiers and chains are unknown parameters here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from service.sandbox.operation_outcome import Issue, Refused
from service.sandbox.ports import Criterion, Token

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """`paths` are dotted element names; a reference parameter with a `target` sees references to that type only."""

    kind: Literal["token", "reference"]
    paths: tuple[str, ...]
    target: str | None = None


_ID = SearchParameter("token", ("id",))
_IDENTIFIER = SearchParameter("token", ("identifier",))
_STATUS = SearchParameter("token", ("status",))
_TYPE = SearchParameter("token", ("type",))
_SUBJECT = SearchParameter("reference", ("subject",))
_PATIENT = SearchParameter("reference", ("subject",), "Patient")
_OF_A_VISIT = {"identifier": _IDENTIFIER, "patient": _PATIENT, "subject": _SUBJECT, "status": _STATUS, "type": _TYPE}

SEARCH_PARAMETERS: dict[str, dict[str, SearchParameter]] = {
    "Patient": {"_id": _ID, "identifier": _IDENTIFIER},
    "Practitioner": {"_id": _ID, "identifier": _IDENTIFIER},
    "Organization": {"_id": _ID, "identifier": _IDENTIFIER, "type": _TYPE},
    "Encounter": {"_id": _ID, **_OF_A_VISIT},
    "Media": {"_id": _ID, **_OF_A_VISIT, "encounter": SearchParameter("reference", ("encounter",), "Encounter")},
    "Binary": {"_id": _ID},
    "DocumentReference": {
        "_id": _ID,
        **_OF_A_VISIT,
        "identifier": SearchParameter("token", ("masterIdentifier", "identifier")),
        "encounter": SearchParameter("reference", ("context.encounter",), "Encounter"),
        "category": SearchParameter("token", ("category",)),
    },
    "Consent": {
        "_id": _ID,
        "identifier": _IDENTIFIER,
        "patient": SearchParameter("reference", ("patient",), "Patient"),
        "status": _STATUS,
    },
    "Provenance": {
        "_id": _ID,
        "patient": SearchParameter("reference", ("target",), "Patient"),
        "target": SearchParameter("reference", ("target",)),
        "agent": SearchParameter("reference", ("agent.who",)),
        "entity": SearchParameter("reference", ("entity.what",)),
    },
    "Device": {
        "_id": _ID,
        "identifier": _IDENTIFIER,
        "patient": SearchParameter("reference", ("patient",), "Patient"),
        "status": _STATUS,
        "type": _TYPE,
    },
}
RESOURCE_TYPES = tuple(SEARCH_PARAMETERS)


def tokens_of(body: dict[str, Any], base_url: str) -> frozenset[Token]:
    """Everything that this resource can be found by. The resource must be valid."""
    return frozenset(
        Token(name, text)
        for name, parameter in SEARCH_PARAMETERS[body["resourceType"]].items()
        for path in parameter.paths
        for value in _values(body, path.split("."))
        for text in _texts(parameter, value, base_url)
    )


def criteria_of(
    resource_type: str, pairs: Iterable[tuple[str, str]], base_url: str, *, lenient: bool = False
) -> tuple[list[Criterion], Pairs]:
    """The criteria and the pairs they came from. Raises Refused for an unknown parameter, which `lenient` skips."""
    criteria, used = [], []
    for name, value in pairs:
        parameter = SEARCH_PARAMETERS[resource_type].get(name)
        if parameter:
            criteria.append(Criterion(frozenset(_wanted(name, parameter, value, base_url))))
            used.append((name, value))
        elif not lenient:
            known = ", ".join(SEARCH_PARAMETERS[resource_type])
            raise Refused(400, Issue("not-supported", f"unknown search parameter; {resource_type} knows {known}"))
    return criteria, used


def _values(node: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(node, list):
        for item in node:
            yield from _values(item, path)
    elif not path and node is not None:
        yield node
    elif path and isinstance(node, dict) and path[0] in node:
        yield from _values(node[path[0]], path[1:])


def _texts(parameter: SearchParameter, value: Any, base_url: str) -> Iterator[str]:
    if parameter.kind == "token":
        for system, code in _codes(value):
            yield from (_text("any", code), _text("in", system, code), _text("all", system))
    elif isinstance(value.get("reference"), str):
        reference = _relative(value["reference"], base_url)
        target, _, target_id = reference.rpartition("/")
        if parameter.target in (None, target.rpartition("/")[2]):
            yield from (_text("to", reference), _text("id", target_id))


def _codes(value: Any) -> Iterator[tuple[str, str]]:
    """System and code of a code, an Identifier, a Coding or each coding of a CodeableConcept."""
    if isinstance(value, str):
        yield "", value
    elif isinstance(value, dict):
        for coding in value.get("coding", [value]):
            code = coding.get("value", coding.get("code"))
            if isinstance(code, str):
                yield coding.get("system", ""), code


def _text(*parts: str) -> str:
    return "\x1f".join(parts)  # resources hold no control characters, so no two lists of parts give one text


def _relative(reference: str, base_url: str) -> str:
    return reference.removeprefix(f"{base_url}/").partition("/_history/")[0]


def _wanted(name: str, parameter: SearchParameter, value: str, base_url: str) -> Iterator[Token]:
    for alternative in _split(value, ","):
        if not alternative:
            raise Refused(400, Issue("value", f"search parameter {name} has no value"))
        if parameter.kind == "reference":
            reference = _relative(_unescaped(alternative), base_url)
            yield Token(name, _text("to" if "/" in reference else "id", reference))
        else:
            yield Token(name, _wanted_code([_unescaped(part) for part in _split(alternative, "|", 1)]))


def _wanted_code(parts: list[str]) -> str:
    if len(parts) == 1:
        return _text("any", parts[0])
    return _text("in", *parts) if parts[1] else _text("all", parts[0])


def _split(value: str, mark: str, times: int = 0) -> list[str]:
    return re.split(rf"(?<!\\){re.escape(mark)}", value, maxsplit=times)


def _unescaped(value: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", value)
