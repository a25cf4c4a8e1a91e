"""The ambient API under load: `python -m bench.api [SECONDS]`, one JSON line for each measure.

- `responsiveness`: p50 and p99 of `GET /v2/interactions/` while nothing goes on and while every core transcribes,
  in turn, and by how much the event loop's beats came late;
- `paging`: 1,000 interactions by page;
- `metadata`: 200 clients at once that create, get, list and change, beside the bare routes of `bench/bare.py`;
- `document`: seconds from the end of an upload to the finished document, for a minute of audio.

Server, bare routes and load generator are processes of their own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.load import visit
from tests.nodes.loopback import free_port

RECORDING = Path(__file__).parent.parent / "service" / "demo" / "consult_two_channel.ogg"
ROUNDS = 4
CORES = os.cpu_count() or 1


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as server:
        responsiveness(server, seconds / 3)
        document(server)
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as server:
        paging(server)
        with bare(Path(name)) as plain:
            metadata(server, plain, seconds)


class Server:
    def __init__(self, popen: subprocess.Popen[bytes], port: int, beats: Path) -> None:
        self.pid = popen.pid
        self.base = f"http://127.0.0.1:{port}/v2/"
        self.beats = beats

    def ask(self, method: str, path: str, body: Any = None, audio: bytes | None = None) -> Any:
        data = audio if audio is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, _headers(audio), method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def load(self, kind: str, seconds: float, clients: int) -> dict[str, Any]:
        command = [sys.executable, "-m", "bench.load", self.base, kind, str(seconds), str(clients)]
        return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))

    def latest(self, begin: float, end: float, which: str) -> list[float]:
        """How late the beats came meanwhile, in ms: `late_ms` or `own_ms` of `bench/served.py`."""
        lines = [json.loads(line) for line in self.beats.read_text().splitlines()]
        return [line[which] for line in lines if begin <= line["at"] <= end]

    def cores_busy(self) -> float:
        before = self._processor_seconds()
        time.sleep(0.5)
        return (self._processor_seconds() - before) / 0.5

    def _processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def responsiveness(server: Server, seconds: float) -> None:
    for _ in range(50):
        server.ask("POST", "interactions/", visit())
    server.load("list", 2, 1)
    found: dict[str, list[float]] = {
        "idle": [],
        "busy": [],
        "idle_late_ms": [],
        "busy_late_ms": [],
        "idle_own_ms": [],
        "busy_own_ms": [],
    }
    busy_cores = []
    for _ in range(ROUNDS):
        _measure(server, seconds, "idle", found)
        interaction = _transcribing(server, 4 * CORES)
        time.sleep(1.0)
        busy_cores.append(server.cores_busy())
        _measure(server, seconds, "busy", found)
        server.ask("DELETE", f"interactions/{interaction}")
        until(lambda: server.cores_busy() < 0.2, "the recognisers stop")
    idle, busy = percentile(found["idle"], 99), percentile(found["busy"], 99)
    say(
        "responsiveness", rounds=ROUNDS, requests=len(found["busy"]), cores=CORES, cores_busy=statistics.mean(busy_cores),
        idle_p50_ms=percentile(found["idle"], 50), idle_p99_ms=idle, busy_p50_ms=percentile(found["busy"], 50), busy_p99_ms=busy,
        p99_ratio=busy / idle, **{f"{name}_most": max(values) for name, values in found.items() if name.endswith("_ms")},
        busy_own_ms_p99=percentile(found["busy_own_ms"], 99),
    )  # fmt: skip


def _measure(server: Server, seconds: float, what: str, found: dict[str, list[float]]) -> None:
    began = time.monotonic()
    load = server.load("list", seconds, 1)
    assert not load["failures"], load["failures"]
    found[what] += load["ms"]
    for which in ("late_ms", "own_ms"):
        found[f"{what}_{which}"] += server.latest(began, time.monotonic(), which)


def _transcribing(server: Server, count: int) -> str:
    """Queues so many transcripts of the demo; the interaction that they all belong to."""
    interaction = str(server.ask("POST", "interactions/", visit())["interactionId"])
    recording = server.ask("POST", f"interactions/{interaction}/recordings/", audio=RECORDING.read_bytes())
    body = {"recordingId": recording["recordingId"], "primaryLanguage": "en", "isMultichannel": True, "async": True}
    for _ in range(count):
        server.ask("POST", f"interactions/{interaction}/transcripts/", body)
    return interaction


def paging(server: Server) -> None:
    made = {server.ask("POST", "interactions/", visit())["interactionId"] for _ in range(1000)}
    for size in (10, 100):
        began, seen, page = time.perf_counter(), [], 1
        while items := server.ask("GET", f"interactions/?pageSize={size}&index={page}")["interactions"]:
            seen += [item["id"] for item in items]
            page += 1
        exact = len(seen) == len(made) and set(seen) == made
        say(
            "paging",
            interactions=len(made),
            page_size=size,
            pages=page - 1,
            exact=exact,
            seconds=time.perf_counter() - began,
        )


def metadata(server: Server, plain: Server, seconds: float) -> None:
    for kind, clients in (("list", 200), ("mixed", 200)):
        found: dict[str, list[dict[str, Any]]] = {"service": [], "bare": []}
        for _ in range(2):
            found["bare"].append(plain.load(kind, seconds / 2, clients))
            found["service"].append(server.load(kind, seconds / 2, clients))
        rates = {
            name: sum(len(load["ms"]) for load in loads) / sum(load["took"] for load in loads)
            for name, loads in found.items()
        }
        times = {name: [ms for load in loads for ms in load["ms"]] for name, loads in found.items()}
        failures = {name: sum(sum(load["failures"].values()) for load in loads) for name, loads in found.items()}
        say(
            "metadata", kind=kind, clients=clients, seconds=seconds, requests=len(times["service"]), failures=failures["service"], bare_failures=failures["bare"],
            requests_per_s=rates["service"], bare_requests_per_s=rates["bare"], ratio=rates["service"] / rates["bare"],
            p50_ms=percentile(times["service"], 50), p99_ms=percentile(times["service"], 99), bare_p99_ms=percentile(times["bare"], 99),
        )  # fmt: skip


def document(server: Server) -> None:
    """The second time, with the model loaded and the writer imported."""
    for warm in (False, True):
        interaction = server.ask("POST", "interactions/", visit())["interactionId"]
        path = f"interactions/{interaction}/"
        recording = server.ask("POST", f"{path}recordings/", audio=RECORDING.read_bytes())
        began = time.perf_counter()
        asked = {"recordingId": recording["recordingId"], "primaryLanguage": "en", "isMultichannel": True}
        transcript = server.ask("POST", f"{path}transcripts/", asked)
        while transcript["status"] == "processing":
            time.sleep(0.2)
            transcript = server.ask("GET", f"{path}transcripts/{transcript['id']}")
        transcribed = time.perf_counter()
        context = [{"type": "transcript", "data": segment} for segment in transcript["transcripts"]]
        server.ask(
            "POST", f"{path}documents/", {"context": context, "templateKey": "corti-soap", "outputLanguage": "en"}
        )
        ended, minutes = time.perf_counter(), recording["durationMs"] / 60_000
        say(
            "document", warm=warm, audio_minutes=minutes, transcript_s=transcribed - began, document_s=ended - transcribed,
            seconds_per_minute=(ended - began) / minutes,
        )  # fmt: skip


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    port, beats = free_port(), folder / "beats"
    settings = {
        "AMBIENT_HTTP__PORT": str(port),
        "AMBIENT_DATABASE__URL": f"sqlite+aiosqlite:///{folder}/ambient.db",
        "AMBIENT_BLOBS__URL": f"file:{folder}/blobs",
        "AMBIENT_LOG__LEVEL": "warning",
    }
    with _running(["-m", "bench.served", str(beats)], settings, port, beats) as server:
        yield server


@contextmanager
def bare(folder: Path) -> Iterator[Server]:
    port = free_port()
    with _running(["-m", "bench.bare", str(port), f"{folder}/bare.db"], {}, port, folder / "none") as server:
        yield server


@contextmanager
def _running(command: list[str], settings: dict[str, str], port: int, beats: Path) -> Iterator[Server]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AMBIENT_")}
    popen = subprocess.Popen([sys.executable, *command], env={**plain, **settings})
    try:
        server = Server(popen, port, beats)
        until(lambda: _answers(server), "the server answers")
        yield server
    finally:
        popen.terminate()
        popen.wait(30)


def _answers(server: Server) -> bool:
    try:
        server.ask("GET", "interactions/")
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _headers(audio: bytes | None) -> dict[str, str]:
    return {"Tenant-Name": "base", "Content-Type": "application/json" if audio is None else "audio/ogg"}


def until(true: Any, what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain until {what}")
        time.sleep(0.05)


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def say(measure: str, **values: Any) -> None:
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}
    print(json.dumps({"bench": f"api_{measure}", **rounded}), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
