"""What a server said was wrong, in words that hold no PHI: severity, code and expression, never diagnostics or text.

Servers put sentences and names where codes belong, and literals into expressions. So a code is kept only if it is one of
FHIR's own, and of a path only what FHIR itself names.
"""

from __future__ import annotations

import re
from itertools import islice

from service.fhir.elements import Json, element, mappings, string

_MOST = 5
_CODES = frozenset({
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired", "forbidden", "suppressed",
    "processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension",
    "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store", "exception", "timeout", "incomplete",
    "throttled", "informational", "success", "limited-filter", "not-accepted",
})  # fmt: skip
"""http://hl7.org/fhir/issue-type, with what R5 and servers before it added."""
_SEVERITIES = frozenset({"fatal", "error", "warning", "information"})
_TYPES = frozenset(
    {"Binary", "Bundle", "Device", "DocumentReference", "Encounter", "List", "Media", "Patient", "Provenance"}
)
"""What is read and written here."""
_NAMES = frozenset({
    "actual", "agent", "attachment", "attester", "author", "authenticator", "birthDate", "category", "class", "code", "coding", "contained",
    "content", "contentType", "context", "creation", "custodian", "data", "date", "description", "deviceName", "display", "docStatus",
    "encounter", "end", "entity", "entry", "event", "extension", "facilityType", "format", "hash", "id", "identifier", "language",
    "manufacturer", "masterIdentifier", "meta", "mode", "onBehalfOf", "participant", "period", "policy", "practiceSetting", "profile",
    "reason", "recorded", "reference", "related", "relatesTo", "request", "resource", "role", "security", "securityLabel", "size",
    "source", "sourcePatientInfo", "start", "status", "subject", "system", "tag", "target", "text", "title", "type", "url", "use",
    "userSelected", "value", "version", "versionId", "what", "who",
})  # fmt: skip
_PATH = re.compile(r"(?P<type>[A-Z][A-Za-z]{1,63})(?P<rest>(?:\.[a-z][A-Za-z]{0,63}|\[\d{1,3}\])*)")
_PART = re.compile(r"\.(?P<name>[a-z][A-Za-z]*)|\[\d{1,3}\]")
_VENDOR_CODE = re.compile(r"[A-Z]{0,12}[-_]?\d{1,6}")


def outcome_words(body: object) -> str:
    """Such as `error required DocumentReference.subject`. Empty when the body is no OperationOutcome."""
    if element(body, "resourceType") != "OperationOutcome":
        return ""
    issues = islice(mappings(body, "issue"), _MOST)
    return "; ".join(words for issue in issues if (words := _words(issue)))


def tells_of_errors(body: object) -> bool:
    """Whether an OperationOutcome names an issue that kept the work from being done (severity `fatal` or `error`)."""
    return element(body, "resourceType") == "OperationOutcome" and any(
        issue.get("severity") in ("fatal", "error") for issue in islice(mappings(body, "issue"), _MOST)
    )


def _words(issue: Json) -> str:
    severity, code = string(issue, "severity"), string(issue, "code")
    vendors = string(issue, "details", "coding", 0, "code") or ""
    candidates = (
        severity if severity in _SEVERITIES else None,
        code if code in _CODES else None,
        vendors if _VENDOR_CODE.fullmatch(vendors) else None,
        _path(string(issue, "expression", 0) or ""),
    )
    return " ".join(word for word in candidates if word)


def _path(expression: str) -> str:
    """As far as FHIR names it: a part that is no element's name may be a value, and what follows it belongs to that."""
    match = _PATH.fullmatch(expression)
    if match is None or match["type"] not in _TYPES:
        return ""
    path = match["type"]
    for part in _PART.finditer(match["rest"]):
        if part["name"] and part["name"] not in _NAMES:
            break
        path += part[0]
    return path
