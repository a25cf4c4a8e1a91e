"""The served API driven by the vendor's own client (`tests/sdk`), as in a hospital that changes only the base URL.

A process of the service, its real recogniser, and Node with each version of the client that `tests/sdk/package.json`
names. Without Node or npm it is skipped with the reason, and fails where `CI` is set.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest

from tests.conftest import DEMO
from tests.integration.processes import start
from tests.nodes.loopback import free_port

pytestmark = pytest.mark.slow

SDK = Path(__file__).parent.parent / "sdk"
VERSIONS = list(json.loads((SDK / "package.json").read_text())["dependencies"])
EXPECTED = (SDK / "expected.txt").read_text().splitlines()
CLIENTS = {"base": ("recorder", "sesame-1"), "clinic-b": ("stranger", "sesame-2")}
SONG = DEMO / "consult_two_channel.ogg"
CLIP_SECONDS = 8


@dataclass(frozen=True)
class Served:
    origin: str
    clip: Path


@pytest.fixture(scope="module")
def clients_installed() -> None:
    """From the lock, without the packages' scripts; again only when the lock changes."""
    if not shutil.which("node") or not shutil.which("npm"):
        _cannot("Node.js and npm are not installed: the official client was not tried")
    stamp = SDK / "node_modules" / ".installed-from"
    lock = hashlib.sha256((SDK / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == lock:
        return
    done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=SDK, capture_output=True, text=True)
    if done.returncode:
        _cannot(f"npm could not install the official client: {done.stderr[-500:]}")
    stamp.write_text(lock)


def _cannot(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("official-client")
    port = free_port()
    clients = {name: {"secret": secret, "tenant": tenant} for tenant, (name, secret) in CLIENTS.items()}
    settings = {
        "HTTP__PORT": port,
        "DATABASE__URL": f"sqlite+aiosqlite:///{folder}/ambient.db",
        "BLOBS__URL": f"file:{folder}/blobs",
        "ENGINE__RECOGNISERS": 1,
        "API__CLIENTS": json.dumps(clients),
        "API__AUDIO_MAX": "2MiB",
    }
    with start(folder, "serve", port, **settings):
        yield Served(f"http://127.0.0.1:{port}", _clip(folder / "clip.wav"))


def _clip(file: Path) -> Path:
    """The beginning of the bundled consultation: 16 kHz, 16 bit, the two channels."""
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=16_000)
    with av.open(SONG) as song, wave.open(str(file), "wb") as clip:
        clip.setparams((2, 2, 16_000, 0, "NONE", "not compressed"))
        for frame in song.decode(audio=0):
            if frame.time > CLIP_SECONDS:
                break
            for piece in resampler.resample(frame):
                clip.writeframes(piece.to_ndarray().tobytes())
    return file


@pytest.mark.usefixtures("clients_installed")
@pytest.mark.parametrize("sdk", VERSIONS)
def test_the_official_client_goes_through_everything_without_a_warning(sdk: str, served: Served) -> None:
    checks = _journey(sdk, served)
    failed = [f"{check['name']}: {check['detail']}" for check in checks if not check["ok"]]
    assert not failed, "\n\n".join(failed)
    assert [check["name"] for check in checks] == EXPECTED


def _journey(sdk: str, served: Served) -> list[dict[str, Any]]:
    settings = {
        "sdk": sdk,
        "origin": served.origin,
        "clients": {tenant: {"clientId": name, "clientSecret": secret} for tenant, (name, secret) in CLIENTS.items()},
        "clip": str(served.clip),
        "song": str(SONG),
    }
    command = ["node", "journey.mjs", json.dumps(settings)]
    done = subprocess.run(command, cwd=SDK, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
