"""The websocket of an interaction: real-time streaming is not offered, and whoever connects is told so in the wire's words.

Frames and their keys are those of the official client's stream types. It takes every refusal as it takes a denied
configuration alone: after another frame its `connect` waits for ever, after a close with another code than 1000 it
connects again, thirty times, and a handshake that is refused ends its process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import product

import orjson
import structlog
from fastapi import APIRouter, HTTPException, WebSocket
from starlette.websockets import WebSocketDisconnect

from service.ambient.errors import ApiError
from service.ambient.rooms import AmbientRooms, canonical_id, known_interaction, tenant_of

log = structlog.get_logger()

Admit = Callable[[str, str | None], Awaitable[str]]
"""From a token and the tenant that was named to the tenant. Raises HTTPException 401 or 403."""

PATIENCE = 15.0
"""Seconds that the wire gives a client to send its configuration."""

_LONGEST = 10.0
"""Seconds for everything else, so that no connection stays for ever."""

_INSTEAD = (
    "real-time streaming is not offered here: upload the recording to /v2/interactions/{id}/recordings/ "
    "and create a transcript of it at /v2/interactions/{id}/transcripts/"
)


def streams_router(ambient: AmbientRooms, admit: Admit, patience: float = PATIENCE) -> APIRouter:
    """Without authentication in front: a websocket shows its token in the URL. `/stream` is the wire's older path, and
    `/v2` is where a client looks that knows a single base URL."""
    router = APIRouter()

    async def stream(socket: WebSocket, interaction: str) -> None:
        await socket.accept()
        try:
            async with asyncio.timeout(2 * patience + _LONGEST):
                reason = await _reason(socket, ambient, admit, interaction, patience)
                await _answer_configuration(socket, reason, patience)
        except (WebSocketDisconnect, TimeoutError):
            return
        except Exception:
            log.exception("stream_failed")
            await socket.close(1000)

    for base, path in product(("/audio-bridge/v2", "/v2"), ("streams", "stream")):
        router.add_api_websocket_route(f"{base}/interactions/{{interaction}}/{path}", stream)
    return router


async def _reason(socket: WebSocket, ambient: AmbientRooms, admit: Admit, interaction: str, patience: float) -> str:
    """Why the configuration is denied. A failure is a reason too: whoever hears of none connects again."""
    try:
        async with asyncio.timeout(patience):
            socket.state.tenant = await admit(_token(socket), socket.query_params.get("tenant-name") or None)
            await known_interaction(ambient, await tenant_of(socket), canonical_id(interaction))
    except HTTPException as refused:
        return "the token is not valid" if refused.status_code == 401 else refused.detail
    except ApiError as refused:
        return refused.detail
    except Exception:
        log.exception("stream_failed")
        return "the request could not be processed"
    return _INSTEAD


def _token(socket: WebSocket) -> str:
    """Of the query, with or without its scheme; else of the header."""
    given = socket.query_params.get("token") or socket.headers.get("authorization", "")
    scheme, _, token = given.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else given.strip()


async def _answer_configuration(socket: WebSocket, reason: str, patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            frame = await socket.receive()
    except TimeoutError:
        await _say(socket, {"type": "CONFIG_NOT_PROVIDED", "reason": f"no configuration within {patience:g} seconds"})
    else:
        if frame["type"] == "websocket.disconnect":
            return
        kind = "CONFIG_DENIED" if _is_configuration(frame.get("text")) else "CONFIG_MISSING"
        await _say(socket, {"type": kind, "reason": reason})
    await socket.close(1000)


def _is_configuration(text: str | None) -> bool:
    try:
        message = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return False
    return isinstance(message, dict) and message.get("type") == "config"


async def _say(socket: WebSocket, message: dict[str, object]) -> None:
    await socket.send_text(orjson.dumps(message).decode())
