"""Whether a resource may be stored: its structure (refused with 400), then codes, references and rules (422).

The structure is judged by the R4B models of fhir.resources (R4 and R4B are the same for these types). Those models
are lenient readers: they take `"true"` for true, JSON inside a string for an object, Python names for elements. So what
they understood is compared with what was sent. Required value sets, reference targets and attachments are checked
here, since the models do not look at them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from service.sandbox.operation_outcome import Issue, Refused

_MODELS = ("Patient", "Practitioner", "Organization", "Encounter", "Media", "Binary", "DocumentReference", "Provenance",
           "Device", "Consent")  # fmt: skip
_MOST_ISSUES = 20
_loaded: dict[str, Any] = {}

_GENDER = frozenset({"male", "female", "other", "unknown"})
_ENCOUNTER = frozenset(
    {"planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error", "unknown"}
)
_EVENT = frozenset(
    {"preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"}
)
_DEVICE_NAME = frozenset(
    {"udi-label-name", "user-friendly-name", "patient-reported-name", "manufacturer-name", "model-name", "other"}
)
_CODES: dict[str, dict[str, frozenset[str]]] = {
    "Patient": {"gender": _GENDER},
    "Practitioner": {"gender": _GENDER},
    "Encounter": {"status": _ENCOUNTER, "statusHistory.status": _ENCOUNTER},
    "Media": {"status": _EVENT},
    "DocumentReference": {
        "status": frozenset({"current", "superseded", "entered-in-error"}),
        "docStatus": frozenset({"preliminary", "final", "amended", "entered-in-error"}),
        "relatesTo.code": frozenset({"replaces", "transforms", "signs", "appends"}),
    },
    "Consent": {
        "status": frozenset({"draft", "proposed", "active", "rejected", "inactive", "entered-in-error"}),
        "provision.type": frozenset({"permit", "deny"}),
        "provision.provision.type": frozenset({"permit", "deny"}),
    },
    "Provenance": {"entity.role": frozenset({"derivation", "revision", "quotation", "source", "removal"})},
    "Device": {
        "status": frozenset({"active", "inactive", "entered-in-error", "unknown"}),
        "deviceName.type": _DEVICE_NAME,
    },
}

_PEOPLE = frozenset({"Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Device", "Organization"})
_TARGETS: dict[str, dict[str, frozenset[str]]] = {
    "Patient": {"managingOrganization": frozenset({"Organization"})},
    "Organization": {"partOf": frozenset({"Organization"})},
    "Encounter": {
        "subject": frozenset({"Patient", "Group"}),
        "participant.individual": frozenset({"Practitioner", "PractitionerRole", "RelatedPerson"}),
        "serviceProvider": frozenset({"Organization"}),
        "partOf": frozenset({"Encounter"}),
    },
    "Media": {
        "subject": frozenset(
            {"Patient", "Practitioner", "PractitionerRole", "Group", "Device", "Specimen", "Location"}
        ),
        "encounter": frozenset({"Encounter"}),
        "operator": _PEOPLE | {"CareTeam"},
    },
    "DocumentReference": {
        "subject": frozenset({"Patient", "Practitioner", "Group", "Device"}),
        "author": _PEOPLE,
        "authenticator": frozenset({"Practitioner", "PractitionerRole", "Organization"}),
        "custodian": frozenset({"Organization"}),
        "relatesTo.target": frozenset({"DocumentReference"}),
        "context.encounter": frozenset({"Encounter", "EpisodeOfCare"}),
        "context.sourcePatientInfo": frozenset({"Patient"}),
    },
    "Consent": {"patient": frozenset({"Patient"})},
    "Provenance": {"agent.who": _PEOPLE, "agent.onBehalfOf": _PEOPLE, "location": frozenset({"Location"})},
    "Device": {"patient": frozenset({"Patient"}), "owner": frozenset({"Organization"})},
}
_ATTACHMENTS = {"DocumentReference": "content.attachment", "Media": "content"}
_ID = r"[A-Za-z0-9\-.]{1,64}"
_REFERENCE = re.compile(rf"(?:https?://\S+/)?([A-Z][A-Za-z]{{1,63}})/{_ID}(?:/_history/{_ID})?")


def validate(resource_type: str, body: dict[str, Any]) -> None:
    """Raises Refused with every fault found, up to twenty. The first call for a type imports its model (0.5 s)."""
    if body.get("resourceType") != resource_type:
        raise Refused(400, Issue("invalid", "resourceType is not the type of this URL", "Resource.resourceType"))
    _refuse(400, _structure(resource_type, body))
    _refuse(422, [*_codes(resource_type, body), *_references(resource_type, body), *_attachments(resource_type, body)])


def is_loaded(resource_type: str) -> bool:
    return resource_type in _loaded


def strict_base64(data: str) -> bytes | None:
    """The bytes; None for foreign characters, line breaks or wrong padding."""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def _refuse(status: int, issues: Sequence[Issue]) -> None:
    if issues:
        raise Refused(status, *issues[:_MOST_ISSUES])


def _structure(resource_type: str, body: dict[str, Any]) -> list[Issue]:
    try:
        understood = orjson.loads(_model(resource_type).model_validate(body).model_dump_json())
    except KeyError:  # what the models raise for a contained type that R4 does not have
        return [Issue("structure", "a contained resource of unknown type", f"{resource_type}.contained")]
    except Exception as error:  # they raise ValidationError, and on odd input RecursionError, TypeError and others
        return _model_issues(resource_type, error)
    untyped = [n for n, one in enumerate(body.get("contained", ())) if "resourceType" not in one]
    return [
        *(Issue("required", "a resource needs resourceType", f"{resource_type}.contained[{n}]") for n in untyped),
        *_differences(body, understood, resource_type),
    ]


def _model(resource_type: str) -> Any:
    if resource_type not in _loaded:
        if resource_type not in _MODELS:
            raise Refused(404, Issue("not-supported", "the sandbox does not keep this type"))
        module = importlib.import_module(f"fhir.resources.R4B.{resource_type.lower()}")
        _loaded[resource_type] = getattr(module, resource_type)
    return _loaded[resource_type]


def _model_issues(resource_type: str, error: Exception) -> list[Issue]:
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return [Issue("structure", "the resource cannot be read as this type", resource_type)]
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [_model_issue(resource_type, one["type"], one["loc"]) for one in found]


def _model_issue(resource_type: str, kind: str, path: tuple[int | str, ...]) -> Issue:
    at = resource_type + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    if kind.endswith("missing"):
        return Issue("required", "a required element is missing", at)
    if kind == "extra_forbidden":
        return Issue("structure", "the type has no such element", at)
    return Issue("value", "a value of the wrong type, format or number", at)


def _differences(sent: object, understood: object, at: str) -> Iterator[Issue]:
    """Where the model read something else than what was sent. Values may differ (`Z` and `+00:00`), kinds may not."""
    if isinstance(sent, dict) and isinstance(understood, dict):
        for name, item in sent.items():
            if name in understood:
                yield from _differences(item, understood[name], f"{at}.{name}")
            else:
                yield Issue("structure", "the type has no such element", f"{at}.{name}")
    elif isinstance(sent, list) and isinstance(understood, list) and len(sent) == len(understood):
        for n, pair in enumerate(zip(sent, understood, strict=True)):
            yield from _differences(*pair, f"{at}[{n}]")
    elif _kind(sent) is not _kind(understood) or isinstance(sent, list):
        yield Issue("value", "a value of the wrong type", at)


def _kind(value: object) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _codes(resource_type: str, body: dict[str, Any]) -> Iterator[Issue]:
    for path, codes in _CODES.get(resource_type, {}).items():
        for at, code in _elements(body, path.split("."), resource_type):
            if code not in codes:
                yield Issue("code-invalid", "not a code of the required value set", at)


def _elements(node: Any, path: Sequence[str], at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, list):
        for n, item in enumerate(node):
            yield from _elements(item, path, f"{at}[{n}]")
    elif not path and node is not None:
        yield at, node
    elif path and isinstance(node, dict) and path[0] in node:
        yield from _elements(node[path[0]], path[1:], f"{at}.{path[0]}")


def _references(resource_type: str, body: dict[str, Any]) -> Iterator[Issue]:
    contained = {f"#{one.get('id')}": one["resourceType"] for one in body.get("contained", ())}
    for path, targets in _TARGETS.get(resource_type, {}).items():
        for at, reference in _elements(body, path.split("."), resource_type):
            fault = _reference_fault(reference, targets, contained)
            if fault:
                yield Issue("value", fault, at)


def _reference_fault(reference: dict[str, Any], targets: frozenset[str], contained: dict[str, str]) -> str | None:
    text, told = reference.get("reference"), reference.get("type")
    if told is not None and told not in targets:
        return "a reference to a type that this element does not allow"
    if text is None or text.startswith("urn:"):
        return None
    match = _REFERENCE.fullmatch(text)
    target = contained.get(text) if text.startswith("#") else match and match[1]
    if target is None:
        return "neither Type/id, nor an absolute URL of that form, nor a contained resource"
    if target not in targets or told not in (None, target):
        return "a reference to a type that this element does not allow"
    return None


def _attachments(resource_type: str, body: dict[str, Any]) -> Iterator[Issue]:
    path = _ATTACHMENTS.get(resource_type)
    if path:
        for at, attachment in _elements(body, path.split("."), resource_type):
            if resource_type == "DocumentReference" and not attachment.keys() & {"data", "url"}:
                yield Issue("invariant", "an attachment needs data or url", at)
            if "data" in attachment:
                yield from _inline_data(attachment, at)


def _inline_data(attachment: dict[str, Any], at: str) -> Iterator[Issue]:
    if "contentType" not in attachment:
        yield Issue("invariant", "att-1: an attachment with data needs contentType", at)
    data = strict_base64(attachment["data"])
    if data is None:
        yield Issue("value", "not base64 (RFC 4648, padded, without line breaks)", f"{at}.data")
        return
    if attachment.get("size", len(data)) != len(data):
        yield Issue("invariant", "size is not the number of bytes in data", f"{at}.size")
    digest = base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
    if attachment.get("hash", digest) != digest:
        yield Issue("invariant", "hash is not the base64 SHA-1 of data", f"{at}.hash")
