"""Everything a worker imports, so that the forkserver has it when a worker is forked: 6 s of CPU once, not each time."""

import asyncio  # noqa: F401
from importlib import import_module

for name in (
    "adapters.ambient.client", "adapters.ehr.audio", "adapters.ehr.auth", "adapters.ehr.client", "adapters.oauth.client_credentials",
    "adapters.in_memory.broker", "adapters.rabbitmq.broker", "aiosqlite", "asyncpg", "fhir.resources.R4B.documentreference", "httpx", "httpx_aiohttp", "service.main", "service.roles",
    "sqlalchemy.dialects.postgresql.asyncpg", "tests.faults.ambient_stub", "tests.faults.ehr", "uvloop",
):  # fmt: skip
    import_module(name)
