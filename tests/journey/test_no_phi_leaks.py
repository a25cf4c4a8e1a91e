"""Marked patient data goes through the whole path; no log line, metric or reason may show it."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

from prometheus_client import generate_latest

from service.settings import Log
from service.telemetry import configure_logging
from tests.journey.hospital import open_hospital

MARK = "Zebrafish"
TURNS = [("doctor", f"Good morning, {MARK}."), ("patient", f"My {MARK} hurts for ten days."), ("doctor", f"I will start you on {MARK}, 500 milligrams.")]  # fmt: skip


def log_lines() -> tuple[io.StringIO, logging.Handler]:
    """Everything that is logged from here on, at the finest level, through the processors of production."""
    configure_logging(Log(format="json", level="debug"))
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logging.getLogger().handlers[0].formatter)
    logging.getLogger().addHandler(handler)
    return lines, handler


async def test_patient_data_reaches_the_note_and_nothing_else(tmp_path: Path) -> None:
    lines, handler = log_lines()
    try:
        async with open_hospital(tmp_path) as hospital:
            await hospital.put(
                {"resourceType": "Patient", "id": "p1", "name": [{"family": MARK}], "identifier": [{"value": MARK}]}
            )
            encounter = await hospital.admit()
            await hospital.put({"resourceType": "Patient", "id": "p1", "name": [{"family": MARK}]})
            media = await hospital.record(turns=TURNS, note=[{"text": MARK}])
            await hospital.tell(encounter, media)
            visit = await hospital.until("done")
            (note,) = await hospital.notes()
            await hospital.publish(f'{{"resourceType": "Media", "id": "{MARK}!", "status": "{MARK}"}}'.encode())
            await hospital.publish(f"{MARK} is not JSON".encode())
            other = await hospital.put({**media, "subject": {"reference": f"Patient/{MARK}"}})
            await hospital.tell(other)
            parked = await hospital.until("parked")
            letters = await hospital.house.letters.list_letters(None, 10, None)
    finally:
        logging.getLogger().removeHandler(handler)
    assert note["content"][0]["attachment"]["data"]
    assert lines.getvalue().count("\n") > 10
    assert MARK not in lines.getvalue()
    assert MARK.encode() not in generate_latest()
    assert MARK not in json.dumps([visit, parked, letters])
