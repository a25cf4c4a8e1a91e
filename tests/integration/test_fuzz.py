"""Hundreds of malformed, truncated, oversized and mutated deliveries among the events of a few good visits."""

from __future__ import annotations

from pathlib import Path

from tests.faults.mixture import mix


async def test_every_bad_delivery_is_a_dead_letter_or_ignored_and_every_good_one_is_filed(
    tmp_path: Path, rabbitmq: str, postgres_url: str
) -> None:
    parts = {"broker": {"url": rabbitmq, "max_message": 100_000}, "database": {"url": postgres_url}}
    await mix(tmp_path, parts, bad=250, good=8, seed=1, seconds=60)
