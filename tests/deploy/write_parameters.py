"""Writes the parameters table of helm/README.md from values.yaml (defaults) and values.schema.json (texts)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "helm"
MARK = "<!-- parameters -->\n"


def parameters(values: dict[str, Any], schema: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any, str]]:
    """Each leaf of values.yaml as (dotted name, default, text). Raises KeyError for a leaf that the schema lacks."""
    for key, value in values.items():
        described = schema["properties"][key]
        if isinstance(value, dict) and described.get("properties"):
            yield from parameters(value, described, f"{above}{key}.")
        else:
            yield f"{above}{key}", value, described["description"]


def table() -> str:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    rows = [
        f"| `{name}` | `{json.dumps(default)}` | {text.replace('|', chr(92) + '|')} |"
        for name, default, text in parameters(values, schema)
    ]
    return "\n".join(["| Parameter | Default | What |", "|---|---|---|", *rows]) + "\n"


def readme() -> str:
    """The README as it should be."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    return text[: text.index(MARK) + len(MARK)] + table()


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme(), encoding="utf-8")
