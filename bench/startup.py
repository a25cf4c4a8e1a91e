"""Seconds until the service answers `/readyz`, beside a bare FastAPI + SQLAlchemy + aio-pika app in the same run.

`python -m bench.startup [rounds]` prints one JSON line. Both start as a fresh interpreter with warm byte code, one after the
other, in turn; the bare app opens a SQLite engine and answers one route. The service starts on a fresh database as well.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.nodes.loopback import free_port

BARE = """
import asyncio, sys
import aio_pika, uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

app = FastAPI()
engine = create_async_engine(f"sqlite+aiosqlite:///{sys.argv[2]}/bare.db")

@app.get("/readyz")
async def ready():
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    return {"ok": True}

uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


def seconds_until_ready(command: list[str], port: int, environment: dict[str, str]) -> float:
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
                    if answer.status == 200:
                        return time.monotonic() - began
            except OSError:
                if process.poll() is not None or time.monotonic() - began > 60:
                    raise SystemExit(f"{command[0:3]} did not start") from None
                time.sleep(0.01)
    finally:
        process.kill()
        process.wait()


def bare(folder: Path) -> float:
    port = free_port()
    return seconds_until_ready([sys.executable, "-c", BARE, str(port), str(folder)], port, plain_environment())


def service(folder: Path) -> float:
    port = free_port()
    settings = {
        "AMBIENT_HTTP__PORT": str(port),
        "AMBIENT_DATABASE__URL": f"sqlite+aiosqlite:///{folder}/ambient.db",
        "AMBIENT_BLOBS__URL": f"file:{folder}/blobs",
    }
    return seconds_until_ready([sys.executable, "-m", "service", "serve"], port, {**plain_environment(), **settings})


def plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AMBIENT_")}


def main(rounds: int) -> None:
    taken: dict[str, list[float]] = {"bare": [], "fresh": [], "again": []}
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            taken["bare"].append(bare(folder))
            taken["fresh"].append(service(folder))
            taken["again"].append(service(folder))
    median = {what: statistics.median(seconds[1:]) for what, seconds in taken.items()}
    ratios = {f"{what}_ratio": round(median[what] / median["bare"], 2) for what in ("fresh", "again")}
    print(
        json.dumps(
            {"bench": "startup", "rounds": rounds, **{f"{k}_s": round(v, 2) for k, v in median.items()}, **ratios}
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
