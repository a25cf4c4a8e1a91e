"""What RabbitMQ keeps beside a dead letter's own body and headers: the reason, one fixed word, and nothing of the patient's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.taking_in import DEAD
from tests.journey.hospital import open_hospital
from tests.journey.marked import LETTERS, MARK, watching
from tests.nodes.queue_operator import Operator


async def test_case_51_a_dead_letters_headers_and_routing_key_hold_no_patient_data(
    rabbitmq: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with watching(tmp_path, capfd) as watch:
        async with (
            open_hospital(tmp_path, broker={"url": rabbitmq}) as hospital,
            Operator.connect(rabbitmq) as operator,
        ):
            for body in LETTERS:
                await hospital.publish(body, "fhir.Media.update")
            dead = len(await hospital.house.letters.list_letters(None, 50, None))
            await operator.wait_for_depth(DEAD, dead)
            copies = [await operator.take(DEAD) for _ in range(dead)]
        watch.saw_nothing()
    assert dead >= 5
    for copy in copies:
        assert MARK.encode() in copy.body
        assert MARK.lower() not in f"{copy.headers} {copy.routing_key} {copy.message_id} {copy.content_type}".lower()
        assert copy.headers["x-ambient-reason"] in ("not_json", "not_fhir", "foreign_base")
