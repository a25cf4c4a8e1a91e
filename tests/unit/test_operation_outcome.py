"""What is repeated of a server's refusal: FHIR's own words, and nothing that a server may have put among them."""

from __future__ import annotations

from typing import Any

import pytest

from service.fhir.operation_outcome import outcome_words

CASES = [
    ({"severity": "error", "code": "hale"}, "error"),
    ({"severity": "hale", "code": "value"}, "value"),
    ({"severity": "error", "code": "code-invalid", "expression": ["Hale"]}, "error code-invalid"),
    ({"code": "value", "expression": ["Patient.hale"]}, "value Patient"),
    ({"code": "value", "expression": ["DocumentReference.content[0].hale.attachment"]}, "value DocumentReference.content[0]"),
    ({"code": "value", "expression": ["Hale.status"]}, "value"),
    ({"code": "value", "expression": ["Provenance.agent[1].who"]}, "value Provenance.agent[1].who"),
    ({"code": "processing", "details": {"coding": [{"code": "HALE"}]}}, "processing"),
]  # fmt: skip


@pytest.mark.parametrize(("issue", "words"), CASES)
def test_only_fhirs_own_words_are_repeated(issue: dict[str, Any], words: str) -> None:
    assert outcome_words({"resourceType": "OperationOutcome", "issue": [issue]}) == words
