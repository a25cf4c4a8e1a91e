"""docs/topology.md is generated; a change of the topology without it fails here."""

from __future__ import annotations

from pathlib import Path

from adapters.rabbitmq import topology


def test_the_page_is_not_stale():
    written = (Path(__file__).parents[2] / "docs" / "topology.md").read_text(encoding="utf-8")
    assert written == topology.page(), "run: python -m adapters.rabbitmq.topology > docs/topology.md"


def test_no_quorum_queue_of_ours_deletes_what_it_gives_up():
    assert topology.EVENTS.arguments["x-dead-letter-exchange"] == topology.DEAD_LETTERS.name
    assert topology.EVENTS.arguments["x-overflow"] == "reject-publish"
    assert topology.DEAD_LETTERS.name in {source for source, _ in topology.DEAD_EVENTS.bindings}
