"""The private nodes of the integration tests, for runs that take minutes. `SECONDS` says how many (default 600)."""

from __future__ import annotations

import os

import pytest

from tests.integration.conftest import (  # noqa: F401
    fresh_vhosts,
    postgres_url,
    postgresql_node,
    rabbitmq,
    rabbitmq_node,
    servers_installed,
)


@pytest.fixture(scope="session")
def seconds() -> float:
    """How long faults go on in each of the long runs."""
    return float(os.environ.get("SECONDS", "600"))
