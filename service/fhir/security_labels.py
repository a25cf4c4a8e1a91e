"""Security labels of a resource, `meta.security` (FHIR R4 §6.1.1): which stop a visit, and which a note carries on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from service.fhir.elements import Json, element, mapping, mappings, string

_OID = re.compile(r"[0-2](\.\d+)+", re.ASCII)
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
_LABELS = frozenset(name.casefold() for name in (
    f"{_TERMINOLOGY}v3-Confidentiality", "http://hl7.org/fhir/v3/Confidentiality", "urn:oid:2.16.840.1.113883.5.25",
    f"{_TERMINOLOGY}v3-ActCode", "http://hl7.org/fhir/v3/ActCode", "urn:oid:2.16.840.1.113883.5.4",
    "http://hl7.org/fhir/v3/ActUSPrivacyLaw", "urn:oid:2.16.840.1.113883.5.1138",
))  # fmt: skip
"""HL7's code systems of confidentiality (R, V), sensitivity (ETH, PSY, HIV) and US privacy law (42CFRPart2), as R4, as
STU3 and by OID."""
_REASONS = frozenset(name.casefold() for name in (
    f"{_TERMINOLOGY}v3-ActReason", "http://hl7.org/fhir/v3/ActReason", "urn:oid:2.16.840.1.113883.5.8",
))  # fmt: skip
_TEST = {"system": f"{_TERMINOLOGY}v3-ActReason", "code": "HTEST", "display": "test health data"}


def is_restricted(resource: Json | None, labels: Sequence[str]) -> bool:
    """Whether it carries one of `labels`: `system|code`, or a code of HL7's label systems, or the code without a system.

    Case, white space and the spelling of a system play no part, and a label that cannot be read is taken for a restricted one.
    """
    return bool(labels) and any(_stops(label, labels) for label in _labels(resource))


def labels_of_test_data(resource: Json | None) -> list[Json]:
    """The label of test data (v3-ActReason `HTEST`), where `meta.security` or `meta.tag` has it; else nothing."""
    tags = [*_codings(element(resource, "meta", "tag")), *_labels(resource)]
    is_test = any(_code(tag) == "HTEST" and _system(tag) in {None, *_REASONS} for tag in tags)
    return [_TEST] if is_test else []


def labels_said(resource: Json | None) -> list[str]:
    """`system|code` of each, in one order: equal for two versions that carry the same labels."""
    return sorted(f"{string(label, 'system') or ''}|{string(label, 'code') or ''}" for label in _labels(resource))


def _stops(label: object, restricted: Sequence[str]) -> bool:
    code, system = _code(label), _system(label)
    if code is None:
        return True
    known = {_system_and_code(word) for word in restricted}
    plain = (None, code.casefold()) in known and (system is None or system in _LABELS)
    return plain or (system, code.casefold()) in known


def _code(label: object) -> str | None:
    return (string(label, "code") or "").strip() or None


def _system(label: object) -> str | None:
    return _normal(string(label, "system"))


def _normal(system: str | None) -> str | None:
    """One spelling for each system: by `http:`, without a trailing slash; an OID with its `urn:oid:`. None for none."""
    lowered = (system or "").strip().casefold().rstrip("/")
    if lowered.startswith("https://"):
        return f"http://{lowered.removeprefix('https://')}"
    return f"urn:oid:{lowered}" if _OID.fullmatch(lowered) else lowered or None


def _system_and_code(word: str) -> tuple[str | None, str]:
    """Of one configured label: `system|code`, or a code."""
    system, _, code = word.rpartition("|")
    return _normal(system), code.strip().casefold()


def _labels(resource: Json | None) -> Iterator[object]:
    """With the law that a label rests on, which DS4P writes into its extension `sec-label-basis`."""
    for label in _codings(element(resource, "meta", "security")):
        yield label
        yield from (basis for one in mappings(label, "extension") if (basis := mapping(one, "valueCoding")))


def _codings(found: object) -> Iterator[object]:
    """A single object where a list belongs is read as one."""
    if found is not None:
        yield from found if isinstance(found, list) else [found]
