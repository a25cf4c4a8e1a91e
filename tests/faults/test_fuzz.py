"""20,000 malformed, truncated, oversized and mutated deliveries among the events of 200 good visits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.mixture import as_line, mix


async def test_every_bad_delivery_is_a_dead_letter_or_ignored_and_every_good_one_is_filed(
    tmp_path: Path, rabbitmq: str, postgres_url: str, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """20,000 from 300 seconds on, fewer below."""
    share = min(1.0, max(0.1, seconds / 300))
    parts = {"broker": {"url": rabbitmq}, "database": {"url": postgres_url}}
    figures = await mix(tmp_path, parts, bad=int(20_000 * share), good=int(200 * share), seed=42, seconds=1800)
    with capsys.disabled():
        print("\n" + as_line(figures))  # noqa: T201 - the figures are what the run is for
