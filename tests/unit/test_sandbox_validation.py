"""What the sandbox EHR takes for a valid resource. Every refusal names its element and quotes no value."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.sandbox.json_body import json_object
from service.sandbox.operation_outcome import Refused
from service.sandbox.search_parameters import tokens_of
from service.sandbox.validation import validate

SECRET = "Musterfrau"
NOTE: dict[str, Any] = {
    "resourceType": "DocumentReference",
    "contained": [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Media", "id": "m", "status": "completed",
                  "content": {"url": "Binary/1"}}],
    "identifier": [{"system": "urn:ambient-fhir:note", "value": SECRET}],
    "status": "current",
    "docStatus": "preliminary",
    "subject": {"reference": "Patient/1", "display": SECRET},
    "date": "2026-11-22T10:00:00.5Z",
    "author": [{"reference": "Device/d1"}],
    "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/0"}}],
    "content": [{"attachment": {"contentType": "text/plain", "data": "aGVsbG8=", "size": 5,
                                "hash": "qvTGHdzF6KLavt4PO0gs2a6pQ00="}}],
    "context": {"encounter": [{"reference": "Encounter/1"}], "period": {"start": "2026-11-22T09:00:00Z"}},
}  # fmt: skip
OTHERS: list[dict[str, Any]] = [
    {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/1"},
    },
    {"resourceType": "Media", "status": "completed", "content": {"url": "Binary/1"}, "duration": 1.5},
    {"resourceType": "Patient", "birthDate": "1970", "_birthDate": {"extension": [{"url": "urn:x", "valueCode": "y"}]}},
    {"resourceType": "Device", "deviceName": [{"name": "ambient-fhir", "type": "model-name"}]},
    {
        "resourceType": "Provenance",
        "target": [{"reference": "DocumentReference/1/_history/2"}],
        "recorded": "2026-11-22T10:00:00Z",
        "contained": [{"resourceType": "Device", "id": "d"}],
        "agent": [{"who": {"reference": "#d"}}],
        "entity": [{"role": "derivation", "what": {"identifier": {"value": "corti-soap"}}}],
    },
    {"resourceType": "Practitioner", "name": [{"given": ["A", None], "_given": [None, {"id": "x"}]}]},
]


def refusal(body: dict[str, Any]) -> tuple[int, str, str | None]:
    with pytest.raises(Refused) as refused:
        validate(body["resourceType"], json_object(json.dumps(body).encode()))
    assert not any(SECRET in issue.diagnostics for issue in refused.value.issues)
    issue = refused.value.issues[0]
    return refused.value.status, issue.code, issue.expression


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with `value` at the dotted path; None takes the element away."""
    copied = copy.deepcopy(body)
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    node: Any = copied
    for part in way:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return copied


@pytest.mark.parametrize("body", [NOTE, *OTHERS], ids=lambda body: body["resourceType"])
def test_a_valid_resource_is_taken(body: dict[str, Any]) -> None:
    validate(body["resourceType"], json_object(json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("path", "value", "status", "code", "expression"),
    [
        ("status", None, 400, "required", "status"),
        ("content", None, 400, "required", "content"),
        ("content", [], 400, "structure", "content"),
        ("content.0.attachment", {}, 400, "structure", "content[0].attachment"),
        ("description", "", 400, "structure", "description"),
        ("patientName", SECRET, 400, "structure", "patientName"),
        ("resource_type", "DocumentReference", 400, "structure", "resource_type"),
        ("subject", '{"reference":"Patient/1"}', 400, "value", "subject"),
        ("subject", {"reference": 5}, 400, "value", "subject.reference"),
        ("author", {"reference": "Device/1"}, 400, "value", "author"),
        ("content.0.attachment.size", "5", 400, "value", "content[0].attachment.size"),
        ("date", "2026-11-22", 400, "value", "date"),
        ("date", "2026-11-22T10:00:00", 400, "value", "date"),
        ("context.period.start", "2026-11-22T10:00:00", 400, "value", "context.period.start"),
        ("contained", [{"resourceType": "Nonsense"}], 400, "structure", "contained"),
        ("contained", [{"resourceType": "Patient", "foo": 1}], 400, "structure", "contained[0].foo"),
        ("contained", [{"id": "x"}], 400, "required", "contained[0]"),
        ("author", [None], 400, None, None),
        ("status", "final", 422, "code-invalid", "status"),
        ("docStatus", "current", 422, "code-invalid", "docStatus"),
        ("relatesTo.0.code", "amends", 422, "code-invalid", "relatesTo[0].code"),
        ("subject", {"reference": "Encounter/1"}, 422, "value", "subject"),
        ("subject", {"reference": "https://ehr.example/fhir/Media/1"}, 422, "value", "subject"),
        ("subject", {"reference": SECRET}, 422, "value", "subject"),
        ("subject", {"reference": "Patient?identifier=1"}, 422, "value", "subject"),
        ("subject", {"reference": "#m"}, 422, "value", "subject"),
        ("subject", {"reference": "#nobody"}, 422, "value", "subject"),
        ("subject", {"reference": "Patient/1", "type": "Group"}, 422, "value", "subject"),
        ("author.0", {"reference": "Group/1"}, 422, "value", "author[0]"),
        ("context.encounter.0", {"reference": "Patient/1"}, 422, "value", "context.encounter[0]"),
        ("content.0.attachment.data", None, 422, "invariant", "content[0].attachment"),
        ("content.0.attachment.contentType", None, 422, "invariant", "content[0].attachment"),
        ("content.0.attachment.data", "aGVs\nbG8=", 422, "value", "content[0].attachment.data"),
        ("content.0.attachment.data", "!!!!", 422, "value", "content[0].attachment.data"),
        ("content.0.attachment.size", 6, 422, "invariant", "content[0].attachment.size"),
        ("content.0.attachment.hash", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", 422, "invariant", "content[0].attachment.hash"),
    ],
)
def test_a_note_with_one_fault_is_refused(
    path: str, value: Any, status: int, code: str | None, expression: str | None
) -> None:
    found = refusal(changed(NOTE, path, value))
    assert found[0] == status
    if code:
        assert found == (status, code, f"DocumentReference.{expression}")


@pytest.mark.parametrize(
    "reference", ["#p", "urn:uuid:7", "https://ehr.example/fhir/Patient/1", "Patient/1/_history/2"]
)
def test_every_form_of_reference_to_a_patient_is_taken(reference: str) -> None:
    validate("DocumentReference", changed(NOTE, "subject.reference", reference))


@pytest.mark.parametrize(
    ("body", "path", "value", "status"),
    [
        (OTHERS[0], "status", "completed", 422),
        (OTHERS[0], "class", None, 400),
        (OTHERS[0], "class_fhir", {"code": "AMB"}, 400),
        (OTHERS[0], "subject.reference", "Practitioner/1", 422),
        (OTHERS[1], "status", "available", 422),
        (OTHERS[1], "encounter", {"reference": "Patient/1"}, 422),
        (OTHERS[1], "content", {"contentType": "audio/wav", "data": "!"}, 422),
        (OTHERS[1], "duration", "1.5", 400),
        (OTHERS[2], "gender", "f", 422),
        (OTHERS[2], "active", "true", 400),
        (OTHERS[3], "status", "broken", 422),
        (OTHERS[3], "deviceName.0.type", "nickname", 422),
        (OTHERS[4], "target", None, 400),
        (OTHERS[4], "recorded", "2026-11-22", 400),
        (OTHERS[4], "agent.0.who", {"reference": "Media/1"}, 422),
        (OTHERS[4], "entity.0.role", "prompt", 422),
    ],
)
def test_other_resources_with_one_fault_are_refused(body: dict[str, Any], path: str, value: Any, status: int) -> None:
    assert refusal(changed(body, path, value))[0] == status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["reference", "type", "coding", "value", "system", "attachment", "data", "resourceType", "id", "status", "url"]
    ), inner, max_size=3), max_leaves=8,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(body=st.sampled_from([NOTE, *OTHERS]), name=st.sampled_from(
    [*NOTE, "category", "type", "encounter", "masterIdentifier", "meta", "id", "_status", "partOf", "participant", "patient"]
), value=JSON)  # fmt: skip
def test_whatever_stands_in_an_element_is_taken_or_refused(body: dict[str, Any], name: str, value: Any) -> None:
    try:
        read = json_object(json.dumps({**body, name: value}).encode())
        validate(body["resourceType"], read)
    except Refused:
        return
    assert tokens_of({**read, "id": "1"}, "http://ehr.test")
