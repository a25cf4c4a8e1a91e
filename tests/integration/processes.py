"""Processes of the service itself, as an operator starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path


@dataclass
class ServiceProcess:
    """One role in a process of its own; its log goes to `log`."""

    popen: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(10)

    def stop(self) -> int:
        """The exit code after SIGTERM."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(40)

    def __enter__(self) -> ServiceProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.popen.poll() is None:
            self.kill()


def start(
    folder: Path, role: str, probe_port: int, seconds: float = 60, code: Path | None = None, **settings: object
) -> ServiceProcess:
    """Starts `ambient-fhir <role>` and waits until its `/readyz` answers 200. `code` holds another version of it."""
    log = folder / f"{role}-{probe_port}.log"
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", "service", role], env=environment(settings), stdout=output, stderr=output, cwd=code
        )
    process = ServiceProcess(popen, log)
    deadline = time.monotonic() + seconds
    while not is_ready(probe_port):
        if popen.poll() is not None or time.monotonic() > deadline:
            process.__exit__()
            raise AssertionError(f"{role} is not ready: {log.read_text()[-2000:]}")
        time.sleep(0.1)
    return process


def run(role: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", *role.split()],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
    )


def environment(settings: dict[str, object]) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AMBIENT_")}
    return {**plain, **{f"AMBIENT_{name}": str(value) for name, value in settings.items()}}


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
