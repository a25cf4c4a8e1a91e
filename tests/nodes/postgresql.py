"""A private PostgreSQL cluster on loopback. The server refuses root, so as root it runs as user `postgres`."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Literal

from tests.nodes.loopback import free_port, own_folder, remove_folder, wait_until


def binaries() -> Path | None:
    """The newest server that Debian's packages installed."""
    found = [server.parent for server in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    return max(found, key=lambda folder: int(folder.parent.name), default=None)


def as_owner(folder: Path) -> dict[str, Any]:
    """How to run a server that refuses root in its folder, which as root is then given to user `postgres`."""
    how: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL}
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        how |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        shutil.chown(folder, owner.pw_uid, owner.pw_gid)
    return how


class PostgresNode:
    """`durable` keeps fsync on; without it commits survive kill -9 of the server, not loss of power."""

    def __init__(self, durable: bool = False) -> None:
        folder = binaries()
        if folder is None:
            raise FileNotFoundError("/usr/lib/postgresql/*/bin/postgres")
        self._binaries = folder
        self.folder = own_folder("postgresql", self.stop)
        self._durable = durable
        self.port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._as_owner = as_owner(self.folder)

    def url(self, database: str = "postgres", driver: Literal["", "+asyncpg"] = "+asyncpg") -> str:
        return f"postgresql{driver}://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Creates the cluster at the first start (about 2 s), then returns once the server takes connections.

        The server is our own child, not pg_ctl's: a killed one can then be reaped, and its leftover entry does not keep
        the next start from taking `postmaster.pid`.
        """
        if not (self.folder / "data").exists():
            self._initialise()
        arguments = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "on" if self._durable else "off",
            "max_connections": "100",
        }
        options = [word for name, value in arguments.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._binaries / "postgres", "-D", self.folder / "data", "-p", str(self.port), *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._as_owner,
            )
        server = self._server
        wait_until(self._ready, lambda: server.poll() is None, self.folder / "log")

    def _initialise(self) -> None:
        options = ["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._run("initdb", "-D", str(self.folder / "data"), *options).check_returncode()

    def _ready(self) -> bool:
        return self._run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1").returncode == 0

    def _run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self._binaries / command, *arguments], capture_output=True, check=False, **self._as_owner
        )

    def kill(self) -> None:
        """kill -9 of the server and all its backends, as when the machine goes away: a backend left alone would keep
        the shared memory and with it the next start."""
        if self._server is None or self._server.poll() is not None:
            return
        children = subprocess.run(
            ["ps", "--ppid", str(self._server.pid), "-o", "pid="], capture_output=True, text=True, check=False
        )
        for pid in (self._server.pid, *map(int, children.stdout.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.wait(10)

    def stop(self) -> None:
        """Ends the server without ceremony and removes its folder. Safe to call twice."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGQUIT)
            try:
                self._server.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        remove_folder(self.folder, self.stop)
