"""What a server said was wrong, in words that hold no PHI: severity, code and expression, never diagnostics or text.

Servers put sentences where codes belong, and FHIRPath literals into expressions, so each is kept only if it looks as
FHIR says it must.
"""

from __future__ import annotations

import re
from itertools import islice

from service.fhir.elements import Json, element, mappings, string

_MOST = 5
_CODE = re.compile(r"[a-z][a-z-]{1,30}")
_PATH = re.compile(r"[A-Z][A-Za-z]{1,63}(?:\.[a-z][A-Za-z]{0,63}|\[\d{1,3}\])*")
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
    candidates = (
        (_CODE, string(issue, "severity")),
        (_CODE, string(issue, "code")),
        (_VENDOR_CODE, string(issue, "details", "coding", 0, "code")),
        (_PATH, string(issue, "expression", 0)),
    )
    return " ".join(word for pattern, word in candidates if word and pattern.fullmatch(word))
