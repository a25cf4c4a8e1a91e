"""What of an ambient API's answers is believed."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.ambient.wire import transcript


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("no_speech", "no_speech"), ("ASR:timeout-2.1", "ASR:timeout-2.1"), ("x" * 64, "x" * 64), (None, None), (7, None), ("", None),
        ("Jane Doe said stop", None), ("bad\x00thing", None), ("code\n", None), ("Müller", None), ("x" * 65, None), ({"text": "x"}, None),
    ],
)  # fmt: skip
def test_the_reason_of_a_failed_transcript_is_a_code_or_nothing(said: Any, known: str | None) -> None:
    body = {"id": "t1", "recordingId": "r1", "status": "failed", "reason": said}
    assert transcript(body).reason == known
