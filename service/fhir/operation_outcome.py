"""What a server said was wrong, in words that hold no PHI: severity, code and expression, never diagnostics or text."""

from __future__ import annotations

from service.fhir.elements import element, mappings, string

_MOST = 5


def outcome_words(body: object) -> str:
    """Such as `error required DocumentReference.subject`. Empty when the body is no OperationOutcome."""
    if element(body, "resourceType") != "OperationOutcome":
        return ""
    issues = list(mappings(body, "issue"))[:_MOST]
    return "; ".join(
        " ".join(word for word in (string(i, "severity"), string(i, "code"), string(i, "expression", 0)) if word) for i in issues
    )
