"""What `late_insert` leaves behind: the double that an EHR makes whose conditional create is not atomic."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from adapters.ambient.network import Network
from adapters.ehr.audio import AudioSource
from adapters.ehr.client import EhrClient
from service.errors import NeedsPerson
from service.workflow.ports import AnswerLost
from tests.faults.ehr import BASE
from tests.faults.ehr_in_memory import run_ehr_in_memory
from tests.faults.workers import start_server
from tests.nodes.loopback import free_port

HANG = 1.5
NOTE = {
    "resourceType": "DocumentReference",
    "identifier": [{"system": "s", "value": "v"}],
    "context": {"encounter": [{"reference": "Encounter/e1"}]},
}


async def test_a_create_that_is_repeated_before_the_first_is_carried_out_makes_a_double(tmp_path: Path) -> None:
    port = free_port()
    server = start_server(tmp_path / "ehr.log", port, run_ehr_in_memory)
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(transport=Network(), base_url=url, timeout=30) as http:
            audio = AudioSource(http, http, url, frozenset(), 100, 5)
            await http.post("/_faults", json={"rates": {"late_insert": 1}, "hang": HANG})
            with pytest.raises(AnswerLost):
                await EhrClient(http, url + BASE, "ehr", 0.3, audio).create_once(NOTE, "s|v")
            await http.post("/_faults", json={"rates": {}})
            ehr = EhrClient(http, url + BASE, "ehr", 5, audio)
            assert await ehr.find("DocumentReference", "s|v") == []
            assert (await ehr.create_once(NOTE, "s|v")).created
            await asyncio.sleep(2 * HANG)
            assert len(await ehr.find("DocumentReference", "s|v")) == 2
            with pytest.raises(NeedsPerson, match="several_matches"):
                await ehr.create_once(NOTE, "s|v")
    finally:
        server.kill()
