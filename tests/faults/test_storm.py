"""Nothing is lost, nothing is there twice, nothing stays behind, whatever fails meanwhile."""

from __future__ import annotations

import sys

import pytest

from tests.faults.site import open_site
from tests.faults.storm import as_json, storm
from tests.nodes.postgresql import PostgresNode
from tests.nodes.rabbitmq import RabbitNode


async def test_a_storm_loses_nothing_doubles_nothing_and_leaves_nothing_behind(
    rabbitmq: str,
    postgres_url: str,
    rabbitmq_node: RabbitNode,
    postgresql_node: PostgresNode,
    seconds: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with open_site(rabbitmq, postgres_url) as site:
        account = await storm(site, rabbitmq_node, postgresql_node, seconds)
        with capsys.disabled():
            sys.stdout.write(f"\n{as_json(account)}\n{account.table()}\n")
        assert not account.wrong, f"{account.wrong}\n{account.explanation}\nthe workers' logs are in {site.folder}"
