"""What Consents say: what is unmistakable is decided, everything else is for a person (docs/consent.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from service.fhir.consent import verdict
from service.fhir.security_labels import is_restricted, labels_of_test_data, labels_said

BASE = "https://ehr.test/fhir/R4"
NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
Json = dict[str, Any]


def coded(*codes: str) -> Json:
    return {"coding": [{"code": code} for code in codes]}


def consent(provision: Json | None = None, **more: Any) -> Json:
    return {
        "resourceType": "Consent", "id": "c1", "status": "active", "patient": {"reference": "Patient/p1"},
        "scope": coded("patient-privacy"), "category": [coded("59284-0")],
        **({"provision": provision} if provision else {}), **more,
    }  # fmt: skip


def said(*consents: Json, categories: tuple[str, ...] = ()) -> str:
    return verdict(consents, "Patient/p1", BASE, NOW, categories)


PERMIT, DENY = {"type": "permit"}, {"type": "deny"}


@pytest.mark.parametrize(
    ("provision", "expected"),
    [
        (PERMIT, "permit"),
        (DENY, "deny"),
        ({"type": "perhaps"}, "unclear"),
        ({**PERMIT, "purpose": [{"code": "TREAT"}]}, "permit"),
        ({**PERMIT, "purpose": [{"code": "HRESCH"}]}, "unclear"),
        ({**DENY, "purpose": [{"code": "TREAT"}]}, "unclear"),
        ({**PERMIT, "actor": [{}]}, "unclear"),
        ({**PERMIT, "dataPeriod": {}}, "unclear"),
        ({**PERMIT, "somethingNew": True}, "unclear"),
        ({**PERMIT, "provision": [DENY]}, "deny"),
        ({**PERMIT, "provision": [PERMIT]}, "permit"),
        ({**PERMIT, "provision": [{**DENY, "securityLabel": [{"code": "PSY"}]}]}, "unclear"),
        ({**PERMIT, "provision": [{}]}, "unclear"),
        ({**PERMIT, "provision": [{**PERMIT, "provision": [DENY]}]}, "unclear"),
        ({**PERMIT, "provision": [{**DENY, "period": {"end": "2025"}}]}, "permit"),
        ({**PERMIT, "provision": "deny"}, "unclear"),
        ({**DENY, "provision": [PERMIT]}, "unclear"),
        ({"provision": [PERMIT]}, "unclear"),
    ],
)
def test_a_provision(provision: Json, expected: str) -> None:
    assert said(consent(provision)) == expected


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ({"start": "2026-01-04"}, "permit"),
        ({"end": "9999-12-31"}, "permit"),
        ({"end": "9999"}, "permit"),
        ({"start": "0001-01-01"}, "permit"),
        ({"end": "2026-01-05"}, "permit"),
        ({"end": "2026-01"}, "permit"),
        ({"end": "2026"}, "permit"),
        ({"end": "2026-01-05T09:30:00Z"}, "permit"),
        ({"end": "2026-01-05T09:29:00Z"}, "silent"),
        ({"end": "2026-01-04"}, "silent"),
        ({"end": "2025-12"}, "silent"),
        ({"start": "2026-02"}, "silent"),
        ({"end": "soon"}, "unclear"),
        ({"end": 2027}, "unclear"),
        ("2026", "unclear"),
    ],
)
def test_a_period(period: Any, expected: str) -> None:
    assert said(consent({**PERMIT, "period": period})) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"status": "inactive"}, "silent"),
        ({"status": "rejected"}, "silent"),
        ({"status": "proposed"}, "silent"),
        ({"status": "granted"}, "unclear"),
        ({"status": None}, "unclear"),
        ({"patient": {"reference": "Patient/p2"}}, "silent"),
        ({"patient": {"reference": "https://other.test/Patient/p1"}}, "unclear"),
        ({"scope": {"coding": [{"code": ["patient-privacy"]}]}}, "unclear"),
        ({"policyRule": {"coding": [{"code": ["OPTOUT"]}]}}, "unclear"),
        ({"policyRule": [coded("OPTOUT")]}, "unclear"),
        ({"policyRule": coded("OPTOUT")}, "unclear"),
        ({"policyRule": coded("OPTIN", "OPTOUT")}, "unclear"),
        ({"policyRule": coded("OPTIN")}, "permit"),
        ({"policyRule": {"text": "as agreed"}}, "permit"),
        ({"patient": {"reference": f"{BASE}/Patient/p1"}}, "permit"),
        ({"patient": {"identifier": {"value": "1"}}}, "unclear"),
        ({"patient": {"reference": "#p"}}, "unclear"),
        ({"scope": coded("treatment")}, "permit"),
        ({"scope": coded("research")}, "silent"),
        ({"scope": coded("adr")}, "silent"),
        ({"scope": coded("house-rules")}, "unclear"),
        ({"scope": None}, "unclear"),
        ({"modifierExtension": [{}]}, "unclear"),
        ({"decision": "permit"}, "unclear"),
    ],
)
def test_which_consents_count(more: Json, expected: str) -> None:
    assert said(consent(PERMIT, **more)) == expected


@pytest.mark.parametrize(
    ("policy", "provision", "expected"),
    [
        ("OPTIN", None, "permit"),
        ("OPTOUT", None, "deny"),
        ("cric", None, "unclear"),
        ("OPTIN", {"provision": [DENY]}, "deny"),
        ("OPTIN", {"provision": [{**DENY, "actor": [{}]}]}, "unclear"),
        ("OPTOUT", {"provision": [PERMIT]}, "unclear"),
        ("OPTIN", {"type": "deny"}, "deny"),
    ],
)
def test_a_root_without_a_type_goes_by_the_policy_rule(policy: str, provision: Json | None, expected: str) -> None:
    assert said(consent(provision, policyRule=coded(policy))) == expected


def test_together_one_denial_is_enough() -> None:
    unclear, permit, deny = consent({**PERMIT, "actor": [{}]}), consent(PERMIT), consent(DENY)
    assert said(permit, unclear, deny) == "deny"
    assert said(permit, unclear) == "unclear"
    assert said(permit, consent(DENY, status="inactive")) == "permit"
    assert said() == "silent"


def test_with_categories_only_their_consents_count() -> None:
    scribe = {"coding": [{"system": "urn:house", "code": "scribe"}]}
    ours, others = consent(PERMIT, category=[scribe], scope=coded("house-rules")), consent(DENY)
    assert said(ours, others, categories=("scribe",)) == "permit"
    assert said(ours, others, categories=("urn:house|scribe",)) == "permit"
    assert said(ours, categories=("urn:other|scribe",)) == "silent"


@pytest.mark.parametrize(
    ("security", "stops"),
    [
        ([{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}], True),
        ([{"system": "http://hl7.org/fhir/v3/Confidentiality", "code": "V"}], True),
        ([{"system": "urn:oid:2.16.840.1.113883.5.25", "code": "R"}], True),
        ([{"system": "http://hl7.org/fhir/v3/ActUSPrivacyLaw", "code": "42CFRPart2"}], True),
        ([{"code": "r"}], True),
        ([{"code": "ETH", "extension": [{"valueCoding": {"code": "42CFRPart2"}}]}], True),
        ([{"code": "ETH", "extension": [{"valueString": "42CFRPart2"}]}], False),
        ({"code": "R"}, True),
        ([{"display": "Restricted"}], True),
        (["R"], True),
        ([{"system": "urn:house", "code": "locked"}], True),
        ([{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}], False),
        ([{"system": "urn:house", "code": "R"}], False),
        ([{"code": "locked"}], False),
        ([], False),
        (None, False),
    ],
)
def test_which_labels_stop_a_visit(security: Any, stops: bool) -> None:
    labels = ["R", "V", "42CFRPart2", "urn:house|locked"]
    assert is_restricted({"meta": {"security": security}}, labels) is stops


def test_without_a_setting_no_label_stops_a_visit() -> None:
    assert not is_restricted({"meta": {"security": [{"code": "R"}]}}, [])


def test_a_label_of_test_data_is_known_by_its_system() -> None:
    ours = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
    assert [label["code"] for label in labels_of_test_data({"meta": {"tag": [ours]}})] == ["HTEST"]
    assert labels_of_test_data({"meta": {"tag": [{**ours, "system": "urn:house"}]}}) == []
    assert labels_said({"meta": {"security": [{"code": "b"}, {"code": "a"}]}}) == ["|a", "|b"]


@pytest.mark.parametrize("codes", [("OPTIN", "OPTOUT"), ("OPTOUT", "OPTIN")])
def test_a_policy_rule_that_says_both_is_for_a_person(codes: tuple[str, str]) -> None:
    assert said(consent(policyRule=coded(*codes))) == "unclear"


def test_a_category_whose_code_cannot_be_read_is_for_a_person() -> None:
    unreadable = consent(DENY, category=[{"coding": [{"code": ["59284-0"]}]}])
    assert said(consent(PERMIT), unreadable, categories=("59284-0",)) == "unclear"
    assert said(consent(DENY, category=[{"text": "another"}]), categories=("59284-0",)) == "silent"


@pytest.mark.parametrize(
    ("period", "denial", "permission"),
    [
        ({"start": "2026-01-06"}, "silent", "silent"),
        ({"start": "2026-01-05"}, "deny", "silent"),
        ({"start": "2026-01-04"}, "deny", "permit"),
        ({"end": "2026-01-05"}, "deny", "permit"),
        ({"end": "2026-01-04"}, "deny", "silent"),
        ({"end": "2026-01-03"}, "silent", "silent"),
        ({"end": "2025-12"}, "silent", "silent"),
        ({"start": "2026-01-05T09:31:00Z"}, "silent", "silent"),
        ({"start": "2026-01-05T09:29:00+00:00"}, "deny", "permit"),
    ],
)
def test_a_date_without_an_offset_is_one_of_any_zone(period: Json, denial: str, permission: str) -> None:
    """The hospital's own zone is nowhere in a FHIR date. 09:30 UTC is the 5th up to UTC+14."""
    assert said(consent({**DENY, "period": period})) == denial
    assert said(consent({**PERMIT, "period": period})) == permission


def test_a_denial_inside_a_permission_counts_where_either_may_be_in_force() -> None:
    today = {"start": "2026-01-05"}
    assert said(consent({**PERMIT, "period": today, "provision": [DENY]})) == "deny"
    assert said(consent({**PERMIT, "provision": [{**DENY, "period": today}]})) == "deny"


@pytest.mark.parametrize(
    "system",
    [
        "https://terminology.hl7.org/CodeSystem/v3-Confidentiality",
        "http://terminology.hl7.org/CodeSystem/v3-Confidentiality/",
        " http://hl7.org/fhir/v3/Confidentiality",
        "2.16.840.1.113883.5.25",
        "URN:OID:2.16.840.1.113883.5.25",
    ],
)
def test_a_label_is_known_however_its_system_is_spelled(system: str) -> None:
    assert is_restricted({"meta": {"security": [{"system": system, "code": " R "}]}}, ["R"])
    assert not is_restricted({"meta": {"security": [{"system": system, "code": "N"}]}}, ["R"])
    assert is_restricted({"meta": {"security": [{"system": system, "code": "N"}]}}, [f"{system}|n"])
