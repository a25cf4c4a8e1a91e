"""What a reference means in each of the forms that servers send."""

from __future__ import annotations

from typing import Any

import pytest

from service.fhir.references import ForeignBase, Logical, Reference, Unreadable, meant

Json = dict[str, Any]
BASE = "https://ehr.test/fhir/R4"
NAMED = {"system": "urn:mrn", "value": "7|a"}
PATIENT = {"resourceType": "Patient", "id": "p", "identifier": [{"value": "x"}, NAMED]}

MEANT: list[tuple[object, object]] = [
    ({"reference": "Patient/p1"}, Reference("Patient", "p1")),
    ({"reference": "Patient/p1/_history/3"}, Reference("Patient", "p1")),
    ({"reference": f"{BASE}/Patient/p1"}, Reference("Patient", "p1")),
    ({"reference": "http://EHR.test:80/fhir/R4/Patient/p1"}, Reference("Patient", "p1")),
    ({"reference": "Patient/p1", "identifier": NAMED}, Reference("Patient", "p1")),
    ({"identifier": NAMED}, Logical(None, "urn:mrn|7|a")),
    ({"identifier": NAMED, "type": "Group"}, Logical("Group", "urn:mrn|7|a")),
    ({"identifier": NAMED, "type": "http://x/StructureDefinition/Y"}, Logical(None, "urn:mrn|7|a")),
    ({"reference": "urn:uuid:1", "identifier": NAMED}, Logical(None, "urn:mrn|7|a")),
    ({"reference": "Patient?identifier=urn:mrn%7C7"}, Logical("Patient", "urn:mrn|7")),
    ({"reference": f"{BASE}/Patient?identifier=urn:mrn|7"}, Logical("Patient", "urn:mrn|7")),
    ({"reference": "Patient?identifier=http://mrn.test|7"}, Logical("Patient", "http://mrn.test|7")),
    ({"reference": "#p"}, Logical("Patient", "urn:mrn|7|a")),
    ({"reference": "#nobody"}, Unreadable("contained, without an identifier")),
    ({"reference": "#"}, Unreadable("contained, without an identifier")),
    ({"reference": "urn:uuid:1"}, Unreadable("a urn that is not in its Bundle")),
    ({"reference": "Patient?name=x"}, Unreadable("conditional")),
    ({"reference": "Patient?identifier=7"}, Unreadable("conditional")),
    ({"reference": "Patient?identifier=urn:mrn|7&active=true"}, Unreadable("conditional")),
    ({"reference": "Patient/.."}, Unreadable("malformed")),
    ({"reference": "p1"}, Unreadable("malformed")),
    ({"identifier": {"value": "7"}}, Unreadable("an identifier without system or value")),
    ({"identifier": {"system": "urn:mrn"}}, Unreadable("an identifier without system or value")),
    ({"display": "whoever"}, None),
    ({"reference": ""}, None),
    ({"reference": 7}, None),
    ({}, None),
    (None, None),
    ("Patient/p1", None),
]


@pytest.mark.parametrize(("given", "expected"), MEANT)
def test_what_a_reference_means(given: object, expected: object) -> None:
    assert meant({"subject": given, "contained": [PATIENT]}, "subject", BASE) == expected


@pytest.mark.parametrize(
    "text", ["https://evil.test/fhir/R4/Patient/p1", f"{BASE}x/Patient/p1", "https://evil.test/Patient?identifier=a|b"]
)
def test_another_server_s_resource_is_never_ours(text: str) -> None:
    with pytest.raises(ForeignBase):
        meant({"subject": {"reference": text}}, "subject", BASE)


@pytest.mark.parametrize("base", [BASE, BASE + "/", "http://ehr.test/fhir/R4", "https://EHR.TEST:443/fhir/R4/"])
def test_a_slash_a_scheme_or_the_default_port_makes_no_other_server(base: str) -> None:
    assert meant({"subject": {"reference": f"{BASE}/Patient/p1"}}, "subject", base) == Reference("Patient", "p1")
