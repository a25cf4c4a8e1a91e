"""Pages made from the code: none is stale, and a stale one is noticed and named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from docs import generate

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The generated pages as they are now, in a folder of their own."""
    for name in ("openapi.json", "settings.md", "topology.md"):
        shutil.copy(generate.FOLDER / name, tmp_path)
    return tmp_path


def test_no_generated_page_is_stale() -> None:
    assert generate.main(["--check"]) == 0, "run: python -m docs.generate"


def test_a_changed_page_is_named_and_mended(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "settings.md").write_text("# Settings\n", encoding="utf-8")
    (copy / "topology.md").unlink()
    assert generate.main(["--check"], copy) == 1
    said = capsys.readouterr().err
    assert "settings.md is stale" in said
    assert "topology.md is stale" in said
    assert "openapi.json" not in said
    assert generate.main([], copy) == 0
    assert generate.main(["--check"], copy) == 0


def test_what_is_set_on_this_machine_changes_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMBIENT_HTTP__HOST", "0.0.0.0")
    monkeypatch.setenv("AMBIENT_NOTES__TEMPLATES", "another")
    assert generate.main(["--check"]) == 0


def test_wrong_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--chek"]) == 2
    assert "usage" in capsys.readouterr().err
