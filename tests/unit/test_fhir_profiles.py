"""Profiles: what each word of one does to a note, how they build on each other, and which are refused at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.errors import BadConfiguration
from service.fhir.codes import DOCUMENT_TYPES
from service.fhir.document_reference import ProfileUnmet, prepare
from service.fhir.element_paths import found, leave_out, present, put
from service.fhir.profile import Profile, load_profile
from service.fhir.profile_in_use import profile_in_use
from service.settings import read_settings
from tests.profiles import BUNDLED, path_of_a_profile, profile_of_a_hospital
from tests.unit.test_fhir_document_reference import NOTE

KHS = {"coding": [{"system": "urn:facilities", "code": "KHS"}]}
TYPE = {"coding": [{"system": "urn:oid:1.2.3", "code": "1000"}], "text": "Our kind of note"}


def sent(**parts: Any) -> dict[str, Any]:
    return prepare(NOTE, Profile(name="mine", **parts)).resource


def written(folder: Path, text: str, name: str = "mine.yaml") -> str:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_the_bundled_ones_are_those_that_the_documentation_names() -> None:
    assert BUNDLED == ["epic", "ihe-mhd", "isik", "oracle-health", "r4", "uk-core", "us-core"]
    page = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in BUNDLED)


@pytest.mark.parametrize("path", ["docStatus", "meta.security", "content.attachment.hash", "context.related", "author"])
def test_what_is_forbidden_is_left_out(path: str) -> None:
    assert present(sent(), path)
    assert not present(sent(forbidden=[path]), path)


def test_what_is_empty_without_a_forbidden_element_goes_as_well() -> None:
    assert "meta" not in sent(forbidden=["meta.security"])


def test_what_is_forced_is_sent_as_it_stands_and_in_every_content() -> None:
    both = sent(
        contents=["text/plain", "application/xhtml+xml"],
        forced={"context.facilityType": KHS, "content.format": {"system": "urn:s", "code": "c"}, "language": "de"},
    )
    assert both["context"]["facilityType"] == KHS
    assert [content["format"]["code"] for content in both["content"]] == ["c", "c"]
    assert both["language"] == "de"


def test_what_is_required_and_not_known_is_named() -> None:
    with pytest.raises(
        ProfileUnmet, match=r"^context\.period\.end is required by profile mine and not known$"
    ) as unmet:
        prepare(replace(NOTE, period=None), Profile(name="mine", required=["context.period.end"]))
    assert unmet.value.element == "context.period.end"


def test_an_element_that_few_want_is_sent_where_it_is_required() -> None:
    asked = sent(required=["masterIdentifier", "text", "context.sourcePatientInfo"])
    assert asked["masterIdentifier"]["value"].startswith("urn:oid:2.25.")
    assert "A cough for ten days." in asked["text"]["div"]
    assert asked["context"]["sourcePatientInfo"] == {"reference": "Patient/p1"}
    assert not {"masterIdentifier", "text"} & sent().keys()


def test_each_revision_has_a_master_identifier_of_its_own() -> None:
    mine = Profile(name="mine", required=["masterIdentifier"])
    values = {prepare(replace(NOTE, identifier=i), mine).resource["masterIdentifier"]["value"] for i in ("a", "b", "a")}
    assert len(values) == 2


@pytest.mark.parametrize(
    ("said", "status"), [(True, "preliminary"), (False, None), ("final", "final"), ("preliminary", "preliminary")]
)
def test_doc_status_is_what_the_profile_says(said: Any, status: str | None) -> None:
    assert sent(doc_status=said).get("docStatus") == status


def test_a_template_has_the_code_of_the_profile_else_its_default() -> None:
    own = prepare(NOTE, Profile(name="mine", types={"corti-soap": TYPE, "default": KHS}))
    assert (own.resource["type"], own.fell_back) == (TYPE, ())
    other = prepare(replace(NOTE, template="another"), Profile(name="mine", types={"corti-soap": TYPE, "default": KHS}))
    assert (other.resource["type"], other.fell_back) == (KHS, ("type",))


def test_a_template_without_a_code_is_refused_where_the_profile_has_no_default() -> None:
    with pytest.raises(ProfileUnmet, match="type is required"):
        prepare(replace(NOTE, template="another"), Profile(name="mine", types={"corti-soap": TYPE}))


def test_authors_that_are_not_taken_are_left_out_and_that_is_recorded() -> None:
    prepared = prepare(NOTE, Profile(name="mine", authors=["Practitioner"]))
    assert prepared.resource["author"] == [{"reference": "Practitioner/d1"}]
    assert prepared.fell_back == ("author",)
    role = replace(NOTE, authors=[{"reference": "https://ehr.test/PractitionerRole/d1"}])
    assert "author" not in prepare(role, Profile(name="mine", authors=["Practitioner"])).resource


def test_a_fallback_is_used_only_for_what_is_missing_and_is_recorded() -> None:
    mine = Profile(name="mine", required=["context.period.end"], fallbacks={"context.period.end": "date"})
    assert prepare(NOTE, mine).fell_back == ()
    open_ended = prepare(replace(NOTE, period={"start": "2026-01-05T09:00:00Z"}), mine)
    assert open_ended.resource["context"]["period"]["end"] == "2026-01-05T09:00:00.123Z"
    assert open_ended.fell_back == ("context.period.end",)


def test_times_of_day_can_be_asked_for() -> None:
    dates = replace(NOTE, period={"start": "2026-01-05", "end": "2026-01-05T10:00:00+01:00"})
    assert prepare(dates, Profile(name="mine", time_of_day=True)).resource["context"]["period"] == {
        "end": "2026-01-05T10:00:00+01:00"
    }


def test_a_profile_goes_over_the_one_that_it_extends(tmp_path: Path) -> None:
    (tmp_path / "hospital").mkdir()
    written(
        tmp_path / "hospital", "extends: isik\nname: base\nforced: {context.facilityType: {text: KHS}}\n", "base.yaml"
    )
    ward = (
        "extends: hospital/base.yaml\nname: ward\ndoc_status: final\nforced: {context.practiceSetting: {text: ALLG}}\n"
    )
    ours = load_profile(written(tmp_path, ward))
    assert (ours.name, ours.doc_status) == ("ward", "final")
    assert ours.forced.keys() == {"securityLabel", "context.facilityType", "context.practiceSetting"}
    assert ours.types == load_profile(path_of_a_profile("isik", tmp_path)).types


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "name: x\nrequired: [securityLabel]",
            "securityLabel is required but has no value: give it one under `forced`",
        ),
        ("name: x\nrequired: [context.facilityType]", "context.facilityType is required but has no value"),
        ("name: x\nrequired: [docStatus]\ndoc_status: false", "docStatus is required but `doc_status` is false"),
        (
            "name: x\nrequired: [context.period.end]\nforbidden: [context.period]",
            "context.period.end .* forbidden as well",
        ),
        ("name: x\nrequired: [content.attachment.url]", "content.attachment.url is required but `inline` is true"),
        ("name: x\ninline: false\nrequired: [content.attachment.data]", "`inline` is false"),
        (
            "name: x\nrequired: [category, content.format]",
            "`categories` is empty; content.format .*`format` has no value",
        ),
        ("name: x\nauthors: []\nrequired: [author]", "`authors` is empty"),
        ("name: x\nrequired: [meta.security]\nsecurity_label: false", "`security_label` is false"),
        ("name: x\nforbidden: [docstatus]", "forbidden.0: not an element of DocumentReference"),
        ("name: x\nforced: {context.end: 1}", "not an element of DocumentReference"),
        ("name: x\ncontents: [text/markdown]", "contents.0"),
        ("name: x\ncontents: []", "contents"),
        ("name: x\nlargest: 0", "largest"),
        ("name: x\nsource_id: 1.2.3", "source_id"),
        ("name: x\nauthors: [Robot]", "authors.0"),
        ("name: x\nwriting: {bundle: true}", "`inline` must be false"),
        ("name: x\nextends: epick", "no such profile: epick; known: epic"),
        ("name: x\nextends: [r4]", "extends"),
        ("name: x\nextends: mine.yaml", "extends"),
    ],
)
def test_a_profile_that_cannot_work_is_refused_at_once(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadConfiguration, match=words):
        load_profile(written(tmp_path, text))


def test_isik_says_which_values_are_the_hospitals_to_give() -> None:
    with pytest.raises(BadConfiguration, match=r"context\.facilityType .*context\.practiceSetting"):
        load_profile("isik")


@pytest.mark.parametrize(
    ("profile", "settings", "words"),
    [
        ("required: [custodian]", {}, "set AMBIENT_EHR__ORGANIZATION"),
        ("required: [author]", {"author": "none"}, "AMBIENT_EHR__AUTHOR=none"),
        ("required: [author]\nauthors: [Practitioner]", {"author": "device"}, "AMBIENT_EHR__AUTHOR=device"),
        ("types: {corti-h-and-p: {coding: [{system: s, code: c}]}}", {}, "none for the template corti-soap"),
    ],
)
def test_what_the_settings_can_never_meet_is_refused_at_the_start(
    tmp_path: Path, profile: str, settings: dict[str, Any], words: str
) -> None:
    path = written(tmp_path, f"name: mine\n{profile}\n")
    with pytest.raises(BadConfiguration, match=words):
        profile_in_use(read_settings(ehr={"profile": path, **settings}))


def test_what_the_settings_can_meet_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, "name: mine\nrequired: [custodian, author]\nauthors: [PractitionerRole]\n")
    chosen = {"profile": path, "organization": "Organization/o1", "author": "device+practitioner"}
    assert profile_in_use(read_settings(ehr=chosen)).name == "mine"


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_profile_has_a_code_for_what_it_lists(name: str, tmp_path: Path) -> None:
    assert set(profile_of_a_hospital(name, tmp_path).types) <= {*DOCUMENT_TYPES, "default"}


def test_paths_reach_into_every_item_of_a_list() -> None:
    resource: dict[str, Any] = {"content": [{"attachment": {"a": 1}}, {"attachment": {"a": 2, "b": 3}}]}
    assert found(resource, "content.attachment.a") == [1, 2]
    assert present(resource, "content.attachment.a")
    assert not present(resource, "content.attachment.b")
    put(resource, "content.attachment.b", 4)
    assert found(resource, "content.attachment.b") == [4, 4]
    leave_out(resource, "content.attachment.a")
    leave_out(resource, "content.attachment.b")
    assert resource == {}
