"""References, times, profiles and OperationOutcomes, as real servers write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadConfiguration
from service.fhir.elements import is_id
from service.fhir.operation_outcome import outcome_words
from service.fhir.profile import load_profile
from service.fhir.references import ForeignBase, parse
from service.fhir.times import moment

BASE = "https://ehr.test/fhir/R4"


@pytest.mark.parametrize("base", [BASE, BASE + "/", "http://EHR.test:80/fhir/R4"])
@pytest.mark.parametrize(
    "text",
    [
        "Patient/p1",
        "Patient/p1/_history/2",
        f"{BASE}/Patient/p1",
        "http://ehr.test/fhir/R4/Patient/p1",
        "https://Ehr.Test:443/fhir/R4/Patient/p1/_history/1",
    ],
)
def test_every_literal_form_of_an_own_reference(text: str, base: str) -> None:
    assert str(parse(text, base)) == "Patient/p1"


@pytest.mark.parametrize(
    "text",
    ["", "#p1", "urn:uuid:x", "Patient", "Patient/", "Patient/a b", "patient/p1", "Patient?x=y", "Patient/p1/x", "Patient/.", "Patient/..", "/Patient/p1", f"{BASE}/Patient/p1?x", " Patient/p1", "Patient/p1\n", "//evil.test/Patient/p1"],
)  # fmt: skip
def test_what_is_no_literal_reference(text: str) -> None:
    assert parse(text, BASE) is None


@pytest.mark.parametrize(
    "text",
    ["https://evil.test/Patient/p1", "https://ehr.test@evil.test/fhir/R4/Patient/p1", "https://ehr.test.evil.test/fhir/R4/Patient/p1",
     "https://ehr.test:8443/fhir/R4/Patient/p1", "https://ehr.test/FHIR/R4/Patient/p1", "https://ehr.test/fhir/R4evil/Patient/p1", "://Patient/p1"],
)  # fmt: skip
def test_another_base_is_foreign(text: str) -> None:
    with pytest.raises(ForeignBase):
        parse(text, BASE)


@given(st.text())
def test_any_text_is_a_reference_or_none_or_foreign(text: str) -> None:
    try:
        found = parse(text, BASE)
    except ForeignBase:
        return
    assert found is None or is_id(found.id)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-01-05T10:00:00+02:00", "2026-01-05T09:30:00Z"),
        ("2026-01-05T09:30:00Z", "2026-01-05T09:30:00.001Z"),
        ("2026-01-05T09:30:00.9Z", "2026-01-05T09:30:00.91Z"),
        ("2026-01-05T23:59:59-01:00", "2026-01-06T01:00:00Z"),
        ("2026", "2026-01-01T00:00:00.5Z"),
        ("2026-01", "2026-01-02"),
    ],
)
def test_moments_are_compared_as_instants(earlier: str, later: str) -> None:
    first, second = moment(earlier), moment(later)
    assert first
    assert second
    assert first < second


def test_the_same_instant_in_another_offset_and_precision() -> None:
    assert moment("2026-01-05T10:00:00.000000000+01:00") == moment("2026-01-05T09:00:00Z")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "2026-13",
        "2026-02-30",
        "2026-01-05T09:00Z",
        "2026-01-05T24:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "0000",
        "\u0662026",
    ],
)
def test_what_is_no_moment(text: str | None) -> None:
    assert moment(text) is None


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    moment(text)


PHI = "Mrs. Hale, born 1950-02-01"


@pytest.mark.parametrize(
    ("issue", "words"),
    [
        (
            {"severity": "error", "code": "required", "expression": ["DocumentReference.subject"]},
            "error required DocumentReference.subject",
        ),
        ({"severity": "error", "code": "value", "diagnostics": PHI, "details": {"text": PHI}}, "error value"),
        (
            {"severity": "error", "code": "value", "details": {"coding": [{"code": "59108", "display": PHI}]}},
            "error value 59108",
        ),
        ({"severity": PHI, "code": PHI, "expression": [PHI], "details": {"coding": [{"code": PHI}]}}, ""),
        ({"code": "value", "expression": ["Patient.name.where(family='Hale')"]}, "value"),
        (
            {"code": "value", "expression": ["DocumentReference.content[0].attachment"]},
            "value DocumentReference.content[0].attachment",
        ),
        ({"code": "value", "location": [PHI]}, "value"),
        ({"severity": 7, "code": None, "expression": "x", "details": []}, ""),
    ],
)
def test_an_operation_outcome_in_words_without_phi(issue: dict[str, Any], words: str) -> None:
    assert outcome_words({"resourceType": "OperationOutcome", "issue": [issue]}) == words


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"resourceType": "Patient"}, {"resourceType": "OperationOutcome", "issue": {}}]
)
def test_what_is_no_operation_outcome_has_no_words(body: Any) -> None:
    assert outcome_words(body) == ""


def test_many_issues_are_cut_short() -> None:
    assert outcome_words({"resourceType": "OperationOutcome", "issue": [{"code": "value"}] * 99}).count("value") == 5


def test_a_profile_of_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ndoc_status: false\n")
    assert load_profile(str(file)).doc_status is False


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: mine\nmistake: secretvalue\n", "mistake: Extra inputs"),
        ("- secretvalue\n", "valid dictionary"),
        ("", "valid dictionary"),
        ("categories: [{system: secretvalue}]\nname: x", "categories.0.code"),
        ("name: x\n  secretvalue: [", "not YAML at line 2"),
        ("!!python/object:os.system secretvalue", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        ("[" * 400, "not YAML"),
    ],
)
def test_a_wrong_profile_is_one_line_that_says_where(tmp_path: Path, text: str | bytes, words: str) -> None:
    file = tmp_path / "mine.yml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadConfiguration, match=words) as refused:
        load_profile(str(file))
    assert "\n" not in str(refused.value)
    assert "secretvalue" not in str(refused.value)


@pytest.mark.parametrize("name", ["epick", "/nowhere/mine.yaml", ""])
def test_an_unknown_profile_names_the_known_ones(name: str) -> None:
    with pytest.raises(BadConfiguration, match=r"known: r4, us-core|known: .*r4.*us-core"):
        load_profile(name)
