"""Importing says nothing, needs nothing and stays short: what is slow is imported where it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
SLOW = (
    "faster_whisper",
    "ctranslate2",
    "av",
    "alembic",
    "fhir.resources",
    "aio_pika",
    "joserfc",
    "aiohttp",
    "httpx",
    "wsproto",
)


def run(code: str) -> str:
    """In a fresh interpreter without any variable of ours."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_every_module_can_be_imported_with_an_empty_environment() -> None:
    files = [file.relative_to(ROOT) for room in ("service", "adapters") for file in (ROOT / room).rglob("*.py")]
    modules = sorted(
        ".".join(file.with_suffix("").parts).removesuffix(".__init__")
        for file in files
        if not {"migrations", "__main__.py"} & set(file.parts)
    )
    assert "service.main" in modules
    assert run(f"import importlib\nfor name in {modules!r}: importlib.import_module(name)") == ""


def test_the_composition_root_imports_nothing_slow() -> None:
    loaded = run("import sys, service.main, service.roles\nprint(*sorted(sys.modules))").split()
    assert [name for name in SLOW if name in loaded] == []


def test_the_commands_import_the_house_only_when_they_need_it() -> None:
    loaded = run("import sys, service.cli\nprint(*sorted(sys.modules))").split()
    assert [name for name in ("service.main", "sqlalchemy", "fastapi", "rich.table") if name in loaded] == []
