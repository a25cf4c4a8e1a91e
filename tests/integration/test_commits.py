"""What a visit costs the database: a commit that was not needed is paid for at every visit."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from tests.journey.hospital import WrittenAudio, open_hospital
from tests.served import served

MOST = 8
VISITS = 5


async def test_a_visit_with_a_remote_engine_takes_eight_commits_at_most(tmp_path: Path, postgres_url: str) -> None:
    """From its two events to its note. PostgreSQL numbers transactions that write, and no others."""
    remote, local = tmp_path / "remote", tmp_path / "local"
    remote.mkdir()
    local.mkdir()
    with served(remote, WrittenAudio(), engine={"recognisers": 1}) as other:
        parts = {
            "database": {"url": postgres_url},
            "engine": {"url": f"{other.url}/v2", "recognisers": 0},
            "ehr": {"base_url": f"{other.url}/sandbox/fhir/R4"},
        }
        async with open_hospital(local, **parts) as hospital:
            events = [[await hospital.admit(f"e{n}"), await hospital.record(f"m{n}", encounter=f"e{n}")] for n in range(VISITS)]  # fmt: skip
            before = await _transactions(postgres_url)
            for n, told in enumerate(events):
                await hospital.tell(*told)
                await hospital.until("done", f"Encounter/e{n}")
            taken = await _transactions(postgres_url) - before - 1
            assert 0 < taken <= MOST * VISITS, f"{taken / VISITS:.1f} commits a visit"
            assert all([len(await hospital.notes(f"e{n}")) == 1 for n in range(VISITS)])


async def _transactions(url: str) -> int:
    """How many have written so far, this question among them."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return int(await connection.fetchval("SELECT pg_current_xact_id()::text::bigint"))
    finally:
        await connection.close()
