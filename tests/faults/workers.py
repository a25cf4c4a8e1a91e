"""Processes that start in some 20 ms: forked from a server that has imported everything, once, and runs nothing.

`start(name, target, …)` for any picklable function, `start_worker(name, parts)` for the real `ambient-fhir worker`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

Parts = Mapping[str, Mapping[str, Any]]


@cache
def _forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.preloaded"])
    return context


class ForkedProcess:
    """Output of the process goes to `log`, after what is there."""

    def __init__(self, log: Path, target: Callable[..., None], *arguments: Any) -> None:
        self.log = log
        log.touch()
        self._process: ForkServerProcess = _forks().Process(
            target=_with_log, args=(log, target, arguments), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.exitcode

    def join(self, timeout: float) -> None:
        """Returns when it has ended, or after `timeout` seconds."""
        self._process.join(timeout)

    def kill(self) -> None:
        self._send(signal.SIGKILL)
        self._process.join(10)

    def freeze(self) -> None:
        """Until `wake`; its connections stay open."""
        self._send(signal.SIGSTOP)

    def wake(self) -> None:
        self._send(signal.SIGCONT)

    def stop(self, timeout: float = 40) -> int | None:
        """The exit code after SIGTERM."""
        self.wake()
        self._send(signal.SIGTERM)
        self._process.join(timeout)
        return self.exit_code

    def _send(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start_server(
    log: Path, port: int, target: Callable[..., None], *arguments: Any, timeout: float = 60
) -> ForkedProcess:
    """Returns once something listens on `port`, the first of the target's arguments."""
    process = ForkedProcess(log, target, port, *arguments)
    give_up = time.monotonic() + timeout
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return process
        assert process.exit_code is None, log.read_text()[-3000:]
        assert time.monotonic() < give_up, log.read_text()[-3000:]
        time.sleep(0.05)


def start_worker(log: Path, parts: Parts) -> ForkedProcess:
    """The role `worker` with these settings, as from the command line. Returns at once."""
    return ForkedProcess(log, run_worker, parts)


def run_worker(parts: Parts) -> None:
    import gc

    import uvloop

    from service.errors import BadConfiguration
    from service.roles import run_until_stopped
    from service.settings import read_settings
    from service.telemetry import configure_logging

    gc.disable()
    settings = read_settings(**parts)
    configure_logging(settings.log)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_until_stopped(settings, "worker"))
    except BadConfiguration as wrong:
        sys.exit(f"ambient-fhir: {wrong}")


def _with_log(log: Path, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    for name in [name for name in os.environ if name.startswith("AMBIENT_")]:
        del os.environ[name]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    target(*arguments)
