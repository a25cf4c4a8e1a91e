"""Templates are data files; a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.ambient.template_files import bundled_templates, read_templates
from service.errors import BadConfiguration

GOOD = """
key: mine
name: Mine
description: My own.
languages: [en]
sections: [{key: plan, name: Plan, description: What happens next.}]
"""


def test_the_bundled_templates_are_found_with_and_without_their_prefix() -> None:
    templates = bundled_templates()
    assert templates.find("soap") is templates.find("corti-soap")
    assert templates.find("corti-patient-summary") is not None
    assert templates.find("unknown") is None


def test_a_template_speaks_its_languages_in_every_region() -> None:
    soap = bundled_templates().find("corti-soap")
    assert soap
    assert [soap.speaks(tag) for tag in ("en", "EN", "en-US", "da", "english")] == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("key: [", "not valid YAML"),
        ("", "file: "),
        (GOOD.replace("name: Mine", "title: Mine"), "name: Field required"),
        (GOOD.replace("languages: [en]", "languages: []"), "languages: "),
        (GOOD.replace("key: plan", "key: The Plan"), "sections.0.key: "),
        (GOOD.replace("key: mine", "key: other"), "must be the file's name"),
    ],
)
def test_a_template_file_that_is_wrong_is_named_with_its_problem(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(BadConfiguration) as refused:
        read_templates(tmp_path)
    assert str(refused.value).startswith("mine.yaml: ")
    assert problem in str(refused.value)


def test_a_folder_without_templates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="no templates"):
        read_templates(tmp_path)
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert [template.key for template in read_templates(tmp_path).all()] == ["mine"]
