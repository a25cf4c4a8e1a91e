"""Every numbered edge case of an EHR integration has a test that carries its number."""

from __future__ import annotations

import re
from pathlib import Path

CASES = 57
TESTS = Path(__file__).parents[1]


def test_no_number_is_missing() -> None:
    named = {
        int(number)
        for file in TESTS.glob("*/edge_cases/test_*.py")
        for number in re.findall(r"^(?:async )?def test_case_(\d\d)_", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert sorted(set(range(1, CASES + 1)) - named) == []
