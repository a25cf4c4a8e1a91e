"""The private nodes keep what they confirmed and leave nothing behind."""

from __future__ import annotations

import asyncpg
from sqlalchemy import text

from adapters.database.database import Database
from tests.nodes.loopback import answers
from tests.nodes.postgresql import PostgresNode
from tests.nodes.rabbitmq import RabbitNode


async def test_postgresql_keeps_its_commits_through_kill_9_and_leaves_nothing_behind():
    node = PostgresNode()
    try:
        node.start()
        connection = await asyncpg.connect(node.url(driver=""))
        await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept SELECT generate_series(1, 50)")
        node.kill()
        connection.terminate()
        node.start()
        connection = await asyncpg.connect(node.url(driver=""))
        assert await connection.fetchval("SELECT count(*) FROM kept") == 50
        await connection.close()
    finally:
        node.stop()
    assert not answers(node.port)
    assert not node.folder.exists()


async def test_a_test_gets_a_database_with_the_current_schema(database: Database):
    async with database.reading() as connection:
        tables = await connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
        assert tables.scalar_one() > 0


async def test_two_tests_never_share_a_vhost(rabbitmq_node: RabbitNode, rabbitmq: str, fresh_vhosts):
    assert rabbitmq_node.url(next(fresh_vhosts)) != rabbitmq


def test_a_stopped_rabbitmq_leaves_no_server_no_epmd_and_no_folder(rabbitmq_node: RabbitNode):
    """A node that was never started, because starting one more takes its time; stop() runs the same way."""
    node = RabbitNode()
    node.stop()
    assert not node.folder.exists()
    assert not answers(node.port)
    assert answers(rabbitmq_node.port)
