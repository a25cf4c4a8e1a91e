"""SIGTERM while PostgreSQL is gone, or hangs: the process ends by itself, in good form."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.processes import start
from tests.nodes.loopback import free_port
from tests.nodes.postgresql import PostgresNode


@pytest.fixture
def server(servers_installed: None) -> Iterator[PostgresNode]:
    """One of its own: it is not well afterwards."""
    node = PostgresNode()
    node.start()
    try:
        yield node
    finally:
        tell(node, signal.SIGCONT)
        node.stop()


def tell(node: PostgresNode, signum: int) -> None:
    """The server and all its backends."""
    parent = int((node.folder / "data" / "postmaster.pid").read_text().split()[0])
    listed = subprocess.run(["ps", "--ppid", str(parent), "-o", "pid="], capture_output=True, text=True, check=False)
    for pid in (parent, *map(int, listed.stdout.split())):
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
def test_a_process_ends_without_its_database(tmp_path: Path, server: PostgresNode, signum: int) -> None:
    settings = {"DATABASE__URL": server.url(), "BROKER__URL": "memory://", "BLOBS__URL": f"file:{tmp_path}/blobs"}
    port = free_port()
    with start(tmp_path, "serve", port, HTTP__PORT=port, **settings) as process:
        time.sleep(1)
        tell(server, signum)
        time.sleep(2.5)
        assert process.stop() == 0, process.log.read_text()[-2000:]
