"""Templates and sections are data files; a wrong one is named with its place and what is allowed there."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.ambient.document_sections import briefs_of
from service.ambient.fact_groups import FACT_GROUPS
from service.ambient.template_files import Template, Templates, read_templates, speaks
from service.errors import BadConfiguration
from service.fhir.codes import DOCUMENT_TYPES

BUNDLED = read_templates()

TEMPLATE = """
key: mine
name: Mine
description: My own.
sections: [corti-plan, {key: mood, name: Feelings}]
"""
SECTIONS = """
- {key: mood, name: Mood, description: How the patient feels., groups: [concerns-and-expectations], wording: plain, languages: [en, da]}
- {key: corti-plan, name: To do, description: What happens next., groups: [plan], languages: [en, da]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(TEMPLATE)
    (tmp_path / "sections.yaml").write_text(SECTIONS)
    return tmp_path


def template(key: str, templates: Templates = BUNDLED) -> Template:
    found = templates.find(key)
    assert found
    return found


def keys(key: str) -> list[str]:
    return [section.key.removeprefix("corti-") for section in template(key).sections]


def test_every_template_of_the_wire_is_there_and_has_a_document_type_in_the_ehr() -> None:
    assert [one.key for one in BUNDLED.all()] == sorted(DOCUMENT_TYPES)


def test_templates_have_the_sections_of_the_wire_in_their_order() -> None:
    assert keys("corti-soap") == ["subjective", "objective", "assessment", "plan"]
    assert keys("corti-nursing-note") == ["objective", "actions", "plan"]
    assert keys("corti-epic-avr") == ["hpi", "physical-exam-with-vitals", "diagnostic-results", "assessment-and-plan"]
    assert keys("corti-h-and-p") == [
        "chief-complaint", "hpi", "past-medical-and-surgical-history", "family-history",
        "social-history-w-smoking-and-alcohol", "medications", "allergies", "review-of-systems",
        "physical-exam-with-vitals", "diagnostic-results", "assessment", "plan",
    ]  # fmt: skip
    assert keys("corti-emergency-note") == [
        "allergies", "chief-complaint", "hpi", "past-medical-history", "surgical-history", "family-history",
        "social-history-w-smoking-and-alcohol", "review-of-systems", "vital-signs", "physical-exam-without-vitals",
        "diagnostic-results", "medical-decision-making", "assessment-and-plan",
    ]  # fmt: skip
    assert keys("corti-outpatient-visit-note") == [
        "chief-complaint", "hpi", "past-medical-history", "family-history", "social-history-w-smoking-and-alcohol",
        "physical-exam-with-vitals", "diagnostic-results", "assessment-and-plan",
    ]  # fmt: skip
    for single, section in (("emergency-response-note", "emergency-situation-details"), ("patient-summary",) * 2):
        assert keys(single) == [section]


def test_every_section_of_the_wire_is_there() -> None:
    wire = (
        "actions allergies assessment assessment-and-plan brief-clinical-note chief-complaint diagnostic-results "
        "discussion-notes emergency-situation-details family-history hpi medical-decision-making medications objective "
        "past-medical-and-surgical-history past-medical-history patient-summary physical-exam-without-vitals "
        "physical-exam-with-vitals plan review-of-systems social-history-w-smoking-and-alcohol "
        "social-history-w-o-smoking-and-alcohol subjective surgical-history vital-signs"
    )
    assert {section.key for section in BUNDLED.sections()} >= {f"corti-{key}" for key in wire.split()}


@pytest.mark.parametrize("key", ["corti-referral", "summary-of-notes"])
def test_a_template_whose_sections_are_not_documented_says_that_they_are_ours(key: str) -> None:
    assert "this project's own choice" in template(key).description


@pytest.mark.parametrize("key", ["corti-soap", "corti-patient-summary"])
def test_a_template_of_the_whole_visit_leaves_no_fact_group_out(key: str) -> None:
    assert {group for section in template(key).sections for group in section.groups} == set(FACT_GROUPS)


def test_the_same_key_is_the_same_section_in_every_template() -> None:
    shared = {section.key: section.groups for section in BUNDLED.sections()}
    for one in BUNDLED.all():
        assert all(section.groups == shared[section.key] for section in one.sections)
    reason = template("corti-outpatient-visit-note").sections[0]
    assert (reason.key, reason.name) == ("corti-chief-complaint", "Reason for visit")


def test_what_has_a_narrower_section_in_a_document_is_not_told_in_a_broader_one_too() -> None:
    def groups(*wished: str) -> list[tuple[str, ...]]:
        sections = [section for key in wished if (section := BUNDLED.section(f"corti-{key}"))]
        return [brief.groups for brief in briefs_of(sections)]

    assert groups("plan") == [("plan", "actions")]
    assert groups("actions", "plan") == [("actions",), ("plan",)]
    assert groups("plan", "actions") == [("plan",), ("actions",)]
    assert groups("vital-signs", "physical-exam-with-vitals")[1] == (
        "normal-physical-findings", "abnormal-physical-findings",
    )  # fmt: skip
    assert groups("assessment-and-plan", "plan", "assessment")[0] == ("assessment", "plan", "actions")
    assert "plan" in groups("patient-summary", "plan")[0], "another wording is for another reader"


def test_the_bundled_templates_are_found_with_and_without_their_prefix() -> None:
    assert template("soap") is template("corti-soap")
    assert BUNDLED.find("unknown") is None
    assert BUNDLED.find("corti-summary-of-notes") is None


def test_a_template_speaks_its_languages_in_every_region() -> None:
    soap = template("corti-soap")
    assert [speaks(soap, tag) for tag in ("en", "EN", "en-US", "da", "english", "en-")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_folder_adds_templates_and_sections_and_the_same_key_replaces(folder: Path) -> None:
    (folder / "corti-soap.yaml").write_text(TEMPLATE.replace("key: mine", "key: corti-soap\nlanguages: [da]"))
    templates = read_templates(folder)
    assert [(one.key, one.name) for one in template("mine", templates).sections] == [
        ("corti-plan", "To do"), ("mood", "Feelings"),
    ]  # fmt: skip
    assert template("corti-soap", templates).languages == ("da",)
    assert template("corti-h-and-p", templates).sections[-1].name == "To do", "in the bundled templates too"
    assert len(templates.all()) == len(BUNDLED.all()) + 1


WRONG_TEMPLATES = [
    ("key: [", "not valid YAML in line "),
    ("", "must be lines of `name: value`"),
    (b"\xff", "cannot be read"),
    (TEMPLATE.replace("name: Mine", "title: Mine"), "title: not known here; allowed: key, name, description, sections, languages"),
    (TEMPLATE.replace("name: Mine", ""), "name: Field required"),
    (TEMPLATE.replace("name: Mine", "name: 2026"), "name: must be text; "),
    (TEMPLATE + "languages: []", "languages: "),
    (TEMPLATE + "languages: [no]", "languages.0: must be text; "),
    (TEMPLATE + "languages: [norsk bokmål]", "languages.0: "),
    (TEMPLATE + "languages: [en, fr]", "languages: section corti-plan lacks fr"),
    (TEMPLATE.replace("name: Mine", "name: ' '"), "name: "),
    (TEMPLATE.replace("name: Mine", 'name: "a\\0b"'), "name: "),
    (TEMPLATE.replace("key: mood", "key: The Mood"), "sections.1.key: "),
    (TEMPLATE.replace("key: mood", "key: moods"), "sections.1: no section moods; sections.yaml has corti-chief-complaint, "),
    (TEMPLATE.replace("key: mood", "key: corti-plan"), "section corti-plan: may come once"),
    (TEMPLATE.replace("name: Feelings", "groups: [plan]"), "sections.1: groups: not known here; allowed: key, name"),
    (TEMPLATE.replace("[corti-plan, {key: mood, name: Feelings}]", "[]"), "sections: "),
    (TEMPLATE.replace("key: mine", "key: other"), "key: must be the file's name, mine"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "problem"), WRONG_TEMPLATES)
def test_a_template_that_is_wrong_is_named_with_its_problem(folder: Path, content: str | bytes, problem: str) -> None:
    assert_refused(folder / "mine.yaml", content, problem)


WRONG_SECTIONS = [
    ("mood: {}", "Input should be a valid list"),
    (SECTIONS.replace("[plan]", "[plan, plans]"), "1.groups.1: no such fact group; allowed: chief-complaint, "),
    (SECTIONS.replace("groups: [plan]", "groups: []"), "1.groups: "),
    (SECTIONS.replace(", groups: [plan]", ""), "1.groups: Field required"),
    (SECTIONS.replace("wording: plain", "wording: fancy"), "0.wording: Input should be 'clinical' or 'plain'"),
    (SECTIONS.replace("key: corti-plan", "key: mood"), "section mood: may come once"),
    (
        SECTIONS.replace("wording", "style"),
        "0: style: not known here; allowed: key, name, description, groups, wording",
    ),
]


@pytest.mark.parametrize(("content", "problem"), WRONG_SECTIONS)
def test_a_section_that_is_wrong_is_named_with_its_problem(folder: Path, content: str, problem: str) -> None:
    assert_refused(folder / "sections.yaml", content, problem)


def assert_refused(file: Path, content: str | bytes, problem: str) -> None:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadConfiguration) as refused:
        read_templates(file.parent)
    assert str(refused.value).startswith(f"{file}: {problem}")


def test_a_file_of_another_name_is_not_passed_over(folder: Path) -> None:
    (folder / "mine.yaml").rename(folder / "mine.yml")
    with pytest.raises(BadConfiguration, match=r"mine\.yml: name it mine\.yaml"):
        read_templates(folder)


def test_a_folder_that_is_missing_or_without_templates_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BadConfiguration, match=f"AMBIENT_API__TEMPLATE_FOLDER={folder}"):
            read_templates(folder)
