"""Installs what the private nodes need: Debian's RabbitMQ, PostgreSQL and PgBouncer, without starting them as services.

Run as `python -m tests.nodes.install`. It exits 0 when all of them are there, and 1 with the words of `ADVICE` when
some are missing and cannot be installed from here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.nodes import pgbouncer, postgresql, rabbitmq

ADVICE = (
    "The tests start private RabbitMQ, PostgreSQL and PgBouncer nodes and need their servers. Not found: {missing}. "
    "On Debian or Ubuntu run as root: apt-get install --no-install-recommends rabbitmq-server postgresql pgbouncer"
)
_NO_SERVICE_STARTS = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """The Debian packages whose server binary is not where Debian puts it."""
    found = {
        "rabbitmq-server": (rabbitmq.BINARIES / "rabbitmq-server").exists(),
        "postgresql": postgresql.binaries() is not None,
        "pgbouncer": pgbouncer.BINARY.exists(),
    }
    return [package for package, there in found.items() if not there]


def advice() -> str:
    return ADVICE.format(missing=", ".join(missing()))


def main() -> int:
    if not missing():
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _install(missing())
    if missing():
        sys.stderr.write(advice() + "\n")
    return 1 if missing() else 0


def _install(packages: list[str]) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _services_stay_down():
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-q", *command], env=quiet, stdin=subprocess.DEVNULL, check=False)


@contextmanager
def _services_stay_down() -> Iterator[None]:
    """Debian asks `policy-rc.d` before a package starts its service; 101 means no. One that is there already is kept."""
    if _NO_SERVICE_STARTS.exists():
        yield
        return
    _NO_SERVICE_STARTS.write_text("#!/bin/sh\nexit 101\n")
    _NO_SERVICE_STARTS.chmod(0o755)
    try:
        yield
    finally:
        _NO_SERVICE_STARTS.unlink()


if __name__ == "__main__":
    sys.exit(main())
