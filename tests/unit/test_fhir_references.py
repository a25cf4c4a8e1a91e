"""What a reference means in each of the forms that servers send."""

from __future__ import annotations

from typing import Any

import pytest

from service.fhir.references import ForeignBase, Logical, Reference, Unreadable, contradicts, meant

Json = dict[str, Any]
BASE = "https://ehr.test/fhir/R4"
NAMED = {"system": "urn:mrn", "value": "7|a"}
PATIENT = {"resourceType": "Patient", "id": "p", "identifier": [{"value": "x"}, NAMED]}
OTHER = {"system": "urn:nhs", "value": "9"}
CONTAINED = [
    PATIENT,
    {"resourceType": "Patient", "id": "several", "identifier": [NAMED, {"value": "x"}, OTHER, NAMED]},
    {"resourceType": "Patient", "id": "old", "identifier": [{**NAMED, "use": "old"}]},
    *({"resourceType": "Patient", "id": "twice", "identifier": [named]} for named in (NAMED, OTHER)),
    {"resourceType": "Patient", "id": "many", "identifier": [{**NAMED, "value": str(n)} for n in range(11)]},
]

MEANT: list[tuple[object, object]] = [
    ({"reference": "Patient/p1"}, Reference("Patient", "p1")),
    ({"reference": "Patient/p1/_history/3"}, Reference("Patient", "p1")),
    ({"reference": f"{BASE}/Patient/p1"}, Reference("Patient", "p1")),
    ({"reference": "http://EHR.test:80/fhir/R4/Patient/p1"}, Reference("Patient", "p1")),
    ({"reference": "Patient/p1", "identifier": NAMED}, Reference("Patient", "p1")),
    ({"identifier": NAMED}, Logical(None, ("urn:mrn|7|a",))),
    ({"identifier": NAMED, "type": "Group"}, Logical("Group", ("urn:mrn|7|a",))),
    ({"identifier": NAMED, "type": "http://x/StructureDefinition/Y"}, Logical(None, ("urn:mrn|7|a",))),
    ({"reference": "urn:uuid:1", "identifier": NAMED}, Logical(None, ("urn:mrn|7|a",))),
    ({"reference": "Patient?identifier=urn:mrn%7C7"}, Logical("Patient", ("urn:mrn|7",))),
    ({"reference": f"{BASE}/Patient?identifier=urn:mrn|7"}, Logical("Patient", ("urn:mrn|7",))),
    ({"reference": "Patient?identifier=http://mrn.test|7"}, Logical("Patient", ("http://mrn.test|7",))),
    ({"reference": "#p"}, Logical("Patient", ("urn:mrn|7|a",))),
    ({"reference": "#p", "identifier": NAMED}, Logical("Patient", ("urn:mrn|7|a",))),
    ({"reference": "#p", "identifier": OTHER}, Logical("Patient", ("urn:mrn|7|a", "urn:nhs|9"))),
    (
        {"reference": "Patient?identifier=urn:mrn|7", "identifier": OTHER},
        Logical("Patient", ("urn:mrn|7", "urn:nhs|9")),
    ),
    ({"reference": "#several"}, Logical("Patient", ("urn:mrn|7|a", "urn:nhs|9"))),
    ({"reference": "#old"}, Unreadable("contained, without an identifier in use")),
    ({"reference": "#twice"}, Unreadable("contained, without an identifier in use")),
    ({"reference": "#many"}, Unreadable("contained, with too many identifiers")),
    ({"identifier": {**NAMED, "use": "old"}}, Unreadable("an identifier that is old, or without system or value")),
    ({"reference": "#nobody"}, Unreadable("contained, without an identifier in use")),
    ({"reference": "#"}, Unreadable("contained, without an identifier in use")),
    ({"reference": "urn:uuid:1"}, Unreadable("a urn that is not in its Bundle")),
    ({"reference": "Patient?name=x"}, Unreadable("conditional")),
    ({"reference": "Patient?identifier=7"}, Unreadable("conditional")),
    ({"reference": "Patient?identifier=urn:mrn|7&active=true"}, Unreadable("conditional")),
    ({"reference": "Patient/.."}, Unreadable("malformed")),
    ({"reference": "p1"}, Unreadable("malformed")),
    ({"identifier": {"value": "7"}}, Unreadable("an identifier that is old, or without system or value")),
    ({"identifier": {"system": "urn:mrn"}}, Unreadable("an identifier that is old, or without system or value")),
    ({"display": "whoever"}, None),
    ({"reference": ""}, None),
    ({"reference": 7}, None),
    ({}, None),
    (None, None),
    ("Patient/p1", None),
]


@pytest.mark.parametrize(("given", "expected"), MEANT)
def test_what_a_reference_means(given: object, expected: object) -> None:
    assert meant({"subject": given, "contained": CONTAINED}, "subject", BASE) == expected


@pytest.mark.parametrize(
    "text", ["https://evil.test/fhir/R4/Patient/p1", f"{BASE}x/Patient/p1", "https://evil.test/Patient?identifier=a|b"]
)
def test_another_server_s_resource_is_never_ours(text: str) -> None:
    with pytest.raises(ForeignBase):
        meant({"subject": {"reference": text}}, "subject", BASE)


@pytest.mark.parametrize("base", [BASE, BASE + "/", "http://ehr.test/fhir/R4", "https://EHR.TEST:443/fhir/R4/"])
def test_a_slash_a_scheme_or_the_default_port_makes_no_other_server(base: str) -> None:
    assert meant({"subject": {"reference": f"{BASE}/Patient/p1"}}, "subject", base) == Reference("Patient", "p1")


@pytest.mark.parametrize(
    ("named", "held", "contradiction"),
    [
        (NAMED, [NAMED], False),
        (NAMED, [{**NAMED, "value": "8"}], True),
        (NAMED, [{**NAMED, "value": "8"}, NAMED], False),
        (NAMED, [{**NAMED, "value": "8"}, {**NAMED, "use": "old"}], True),
        (NAMED, [{**NAMED, "value": "8", "use": "old"}], False),
        (NAMED, [OTHER], False),
        (NAMED, [], False),
        ({**NAMED, "use": "old"}, [{**NAMED, "value": "8"}], False),
        (None, [NAMED], False),
    ],
)
def test_whether_an_identifier_contradicts_the_reference_beside_it(
    named: Json | None, held: list[Json], contradiction: bool
) -> None:
    resource = {"subject": {"reference": "Patient/p1", "identifier": named}}
    assert contradicts(resource, "subject", {"identifier": held}) is contradiction
