"""A private PgBouncer in transaction mode before a PostgreSQL node: each transaction may be on another connection."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.nodes.loopback import answers, free_port, own_folder, remove_folder, wait_until
from tests.nodes.postgresql import PostgresNode, as_owner

BINARY = Path("/usr/sbin/pgbouncer")
CONFIGURATION = """\
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
server_round_robin = 1
max_client_conn = 200
"""


class PgBouncerNode:
    """`size` server connections for each database, given to the transactions in turn."""

    def __init__(self, server: PostgresNode, size: int = 3) -> None:
        self.folder = own_folder("pgbouncer", self.stop)
        self.port = free_port()
        self._as_owner = as_owner(self.folder)
        self._server: subprocess.Popen[bytes] | None = None
        configuration = CONFIGURATION.format(server=server.port, port=self.port, size=size)
        (self.folder / "pgbouncer.ini").write_text(configuration)

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [BINARY, "pgbouncer.ini"],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._as_owner,
            )
        server = self._server
        wait_until(lambda: answers(self.port), lambda: server.poll() is None, self.folder / "log")

    def stop(self) -> None:
        """Ends it without waiting for its clients and removes its folder. Safe to call twice."""
        if self._server is not None and self._server.poll() is None:
            self._server.terminate()
            self._server.wait(10)
        remove_folder(self.folder, self.stop)
