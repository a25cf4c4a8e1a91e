"""The private nodes: one RabbitMQ and one PostgreSQL per session, a fresh vhost and a fresh database per test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from adapters.database.database import Database
from service.settings import read_settings
from tests.nodes import install
from tests.nodes.pgbouncer import PgBouncerNode
from tests.nodes.postgresql import PostgresNode
from tests.nodes.rabbitmq import RabbitNode


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def servers_installed() -> None:
    if install.missing():
        pytest.fail(install.advice(), pytrace=False)


@pytest.fixture(scope="session")
def rabbitmq_node(servers_installed: None) -> Iterator[RabbitNode]:
    node = RabbitNode()
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def postgresql_node(servers_installed: None) -> Iterator[PostgresNode]:
    node = PostgresNode()
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def pgbouncer(postgresql_node: PostgresNode) -> Iterator[PgBouncerNode]:
    node = PgBouncerNode(postgresql_node)
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def fresh_vhosts(rabbitmq_node: RabbitNode) -> Iterator[str]:
    return _vhosts(rabbitmq_node)


def _vhosts(node: RabbitNode) -> Iterator[str]:
    """Made by the half-dozen: it is the call that takes the time, not the vhost."""
    while True:
        names = [f"test-{secrets.token_hex(4)}" for _ in range(6)]
        node.add_vhosts(*names)
        yield from names


@pytest.fixture
def rabbitmq(rabbitmq_node: RabbitNode, fresh_vhosts: Iterator[str]) -> str:
    """The AMQP URL of an empty vhost."""
    return rabbitmq_node.url(next(fresh_vhosts))


@pytest.fixture
async def postgres_url(postgresql_node: PostgresNode) -> AsyncIterator[str]:
    """The SQLAlchemy URL of an empty database."""
    name = f"test_{secrets.token_hex(4)}"
    await _administer(postgresql_node, f"CREATE DATABASE {name}")
    yield postgresql_node.url(name)
    await _administer(postgresql_node, f"DROP DATABASE {name} WITH (FORCE)")


async def _administer(node: PostgresNode, statement: str) -> None:
    connection = await asyncpg.connect(node.url(driver=""))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """An empty PostgreSQL database with the current schema."""
    settings = read_settings(database={"url": postgres_url})
    async with Database.connect(settings.database) as database:
        await database.migrate()
        yield database
