"""What every private node needs: a free port, a folder of its own, and an end that comes whatever happens."""

from __future__ import annotations

import atexit
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


class NodeFailed(Exception):
    """The node ended or did not answer in time; the text is the end of its log."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.3).close()
    except OSError:
        return False
    return True


def own_folder(name: str, remove: Callable[[], None]) -> Path:
    """A new folder outside of pytest's own, which a server running as another user could not enter.

    `remove` runs when the interpreter ends, so that Ctrl-C leaves no server behind.
    """
    atexit.register(remove)
    return Path(tempfile.mkdtemp(prefix=f"ambient-{name}-"))


def remove_folder(folder: Path, remove: Callable[[], None]) -> None:
    atexit.unregister(remove)
    shutil.rmtree(folder, ignore_errors=True)


def wait_until(ready: Callable[[], bool], alive: Callable[[], bool], log: Path, timeout: float = 90) -> None:
    """Raises NodeFailed with the end of the log when the process is gone or the time is up."""
    give_up = time.monotonic() + timeout
    while not ready():
        if not alive() or time.monotonic() > give_up:
            raise NodeFailed(log.read_text(errors="replace")[-2000:] if log.exists() else "no log was written")
        time.sleep(0.05)
