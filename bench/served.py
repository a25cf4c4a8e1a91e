"""`ambient-fhir serve` with a heartbeat on its event loop: `python -m bench.served FILE`.

Every 100 ms one JSON line goes to FILE: the machine's monotonic clock, and by how much the latest of the beats that
were due every 2 ms came late, in ms: in all, and without the time for which the kernel gave the loop's thread no
processor, which other work on the machine lengthens.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import uvloop

from service.roles import run_until_stopped
from service.settings import read_settings
from service.telemetry import configure_logging

BEAT = 0.002
LINE = 0.1
SCHEDULE = Path("/proc/thread-self/schedstat")


async def beat(lines: SimpleQueue[str]) -> None:
    worst, own, since = 0.0, 0.0, time.monotonic()
    while True:
        began, waited = time.monotonic(), seconds_without_processor()
        await asyncio.sleep(BEAT)
        now = time.monotonic()
        late = now - began - BEAT
        worst, own = max(worst, late), max(own, late - (seconds_without_processor() - waited))
        if now - since >= LINE:
            lines.put(json.dumps({"at": now, "late_ms": round(worst * 1000, 2), "own_ms": round(own * 1000, 2)}))
            worst, own, since = 0.0, 0.0, now


def seconds_without_processor() -> float:
    """Of this thread, as long as it has lived: runnable, and not run."""
    return int(SCHEDULE.read_text().split()[1]) / 1e9


def write(lines: SimpleQueue[str], path: str) -> None:
    """In a thread, so that a slow disk delays no beat."""
    with Path(path).open("a", buffering=1, encoding="utf-8") as file:
        while True:
            print(lines.get(), file=file)


async def main(path: str) -> None:
    settings: Any = read_settings()
    configure_logging(settings.log)
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=write, args=(lines, path), daemon=True).start()
    heart = asyncio.create_task(beat(lines))
    await run_until_stopped(settings, "serve")
    heart.cancel()


if __name__ == "__main__":
    gc.disable()
    uvloop.run(main(sys.argv[1]))
