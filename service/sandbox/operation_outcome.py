"""Every refusal is an OperationOutcome. Its words are fixed: no value of a resource is ever quoted back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Issue:
    """`code` is of the required value set issue-type; `expression` the FHIRPath of the element, where known."""

    code: str
    diagnostics: str
    expression: str | None = None


class Refused(Exception):
    """Ends a request with this HTTP status and these issues."""

    def __init__(self, status: int, *issues: Issue, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} " + ", ".join(issue.code for issue in issues))
        self.status = status
        self.issues = issues
        self.headers = headers


def operation_outcome(issues: Sequence[Issue], severity: str = "error") -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue, severity) for issue in issues]}


def _issue(issue: Issue, severity: str) -> dict[str, Any]:
    told: dict[str, Any] = {"severity": severity, "code": issue.code, "diagnostics": issue.diagnostics}
    if issue.expression:
        told["expression"] = [issue.expression]
    return told
