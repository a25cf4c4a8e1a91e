"""Large recordings through a real process: what they cost in memory, and how soon they are refused."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.ambient_service import visit
from tests.integration.processes import start
from tests.nodes.loopback import free_port

pytestmark = pytest.mark.slow

MEGABYTE = 1024**2
LARGEST = 150 * MEGABYTE
ALLOWED = 32


def head(sound: int, rate: int) -> bytes:
    """Of a 16-bit WAV in one channel."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", sound + 36) + b"WAVE" + fmt + b"data" + struct.pack("<I", sound)


def memory(pid: int, field: str) -> float:
    """`VmRSS` (now) or `VmHWM` (the most there was), in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


async def piecewise(content: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


@pytest.mark.parametrize("chunked", [True, False])
async def test_the_largest_recording_adds_less_than_32_mb_to_the_process(tmp_path: Path, chunked: bool) -> None:
    port = free_port()
    settings = {
        "HTTP__PORT": port, "DATABASE__URL": f"sqlite+aiosqlite:///{tmp_path}/a.db", "BLOBS__URL": f"file:{tmp_path}/blobs",
    }  # fmt: skip
    content = head(LARGEST - 44, 16_000) + bytes(LARGEST - 44)
    with start(tmp_path, "serve", port, **settings) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/v2/", timeout=120) as http:
            path = (
                f"interactions/{(await http.post('interactions/', json=visit())).json()['interactionId']}/recordings/"
            )
            before = memory(process.popen.pid, "VmRSS")
            answer = await http.post(path, content=piecewise(content) if chunked else content)
            peak = memory(process.popen.pid, "VmHWM") - before
            assert answer.status_code == 201, answer.text
            assert answer.json()["durationMs"] == pytest.approx((LARGEST - 44) / 32, abs=1)
            async with http.stream("GET", path + answer.json()["recordingId"]) as given:
                assert int(given.headers["Content-Length"]) == LARGEST
                digest = hashlib.sha256()
                async for chunk in given.aiter_bytes():
                    digest.update(chunk)
                assert digest.digest() == hashlib.sha256(content).digest()
            given_back = memory(process.popen.pid, "VmHWM") - before
        assert peak < ALLOWED, f"the upload added {peak:.1f} MB"
        assert given_back < ALLOWED, f"upload and download added {given_back:.1f} MB"
        assert process.stop() == 0
