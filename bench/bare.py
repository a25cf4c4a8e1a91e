"""The least that could answer the same: FastAPI and SQLAlchemy on SQLite, one table of JSON rows, no checks at all.

`python -m bench.bare PORT FILE`. Same server, event loop, database settings and payloads as the service: a row is
inserted, read, listed (the ten newest) and changed in one statement each; bodies are plain dictionaries.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Request
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine

app = FastAPI()
engine = create_async_engine(f"sqlite+aiosqlite:///{sys.argv[2]}", connect_args={"timeout": 30})


@event.listens_for(engine.sync_engine, "connect")
def _settings(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE IF NOT EXISTS shown (id TEXT PRIMARY KEY, at INTEGER, body TEXT)")
    connection.execute("CREATE INDEX IF NOT EXISTS shown_at ON shown (at)")


@app.post("/v2/interactions/", status_code=201)
async def create(request: Request) -> dict[str, Any]:
    key, body = str(uuid4()), await request.json()
    shown = {
        "id": key, "assignedUserId": str(uuid4()), "patient": {"identifier": ""}, "websocketUrl": f"ws://127.0.0.1/{key}/streams?tenant-name=base",
        "encounter": {"period": {"startedAt": "2026-01-01T09:00:00Z"}, **body["encounter"]},
        "createdAt": "2026-01-01T09:00:00Z", "updatedAt": "2026-01-01T09:00:00Z", "lastUpdated": "2026-01-01T09:00:00Z",
    }  # fmt: skip
    async with engine.begin() as connection:
        row = {"id": key, "body": json.dumps(shown)}
        await connection.execute(
            text("INSERT INTO shown VALUES (:id, (SELECT coalesce(max(at), 0) + 1 FROM shown), :body)"), row
        )
    return {
        "interactionId": key,
        "id": key,
        "websocketUrl": shown["websocketUrl"],
        "wssUrl": shown["websocketUrl"],
    }


@app.get("/v2/interactions/{key}")
async def get(key: str) -> dict[str, Any]:
    async with engine.connect() as connection:
        body = await connection.scalar(text("SELECT body FROM shown WHERE id = :id"), {"id": key})
    return dict(json.loads(body))


@app.get("/v2/interactions/")
async def page() -> dict[str, Any]:
    async with engine.connect() as connection:
        bodies = await connection.scalars(text("SELECT body FROM shown ORDER BY at DESC LIMIT 10"))
        return {"interactions": [json.loads(body) for body in bodies]}


@app.patch("/v2/interactions/{key}")
async def change(key: str, request: Request) -> dict[str, Any]:
    asked = await request.json()
    async with engine.begin() as connection:
        body = await connection.scalar(text("SELECT body FROM shown WHERE id = :id"), {"id": key})
        shown = json.loads(body)
        shown["encounter"] |= asked["encounter"]
        await connection.execute(
            text("UPDATE shown SET body = :body WHERE id = :id"), {"id": key, "body": json.dumps(shown)}
        )
    return dict(shown)


if __name__ == "__main__":
    uvicorn.run(
        app, port=int(sys.argv[1]), http="httptools", loop="uvloop", lifespan="off", log_level="error", access_log=False
    )
