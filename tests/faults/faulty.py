"""Faults of an HTTP server, drawn by chance: before the work, after it, and instead of an answer.

| kind | the server |
|---|---|
| `fail` | answers 5xx, now and then with Retry-After, and does nothing |
| `close` | hangs up and does nothing |
| `done_fail` | does the work and answers 5xx |
| `done_close` | does the work and hangs up |
| `done_hang` | does the work and says nothing for `hang` seconds, then hangs up |
| `late` | says nothing for `hang` seconds and does the work then, whether or not the client is still there |
| `late_insert` | of `ehr_in_memory.py`: looks at once whether a conditional create is needed, and inserts after `hang` seconds, whatever was inserted meanwhile; else `done_hang` |

`POST /_faults` sets any of: `rates` (kind to share of requests), `hang` (seconds), `seed`, `outage` (`null`; `refuse`:
503 to all; `close`: hangs up on all), `retry_after` (seconds, told in an outage). `GET /_stats` gives requests, how many
were open at once at most, and faults by kind. Other paths that begin with `/_` are the app's own, without faults.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import orjson

from tests.faults.asgi import App, Message, Receive, Scope, Send, answer, body_of, until_gone

KINDS = ("fail", "close", "done_fail", "done_close", "done_hang", "late")
"""Without `late_insert`, which no client can make good: a condition that is not atomic leaves doubles."""


class Faulty:
    def __init__(self, app: App) -> None:
        self._app = app
        self._set = {"rates": {}, "hang": 3.0, "outage": None, "retry_after": None, "seed": 1}
        self._chance = random.Random(1)
        self._requests = self._open = self._most = 0
        self._injected: Counter[str] = Counter()
        self._doing: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/_faults":
                self._change(orjson.loads(await body_of(receive)))
                await answer(send, 200, self._set)
            case "/_stats":
                await answer(send, 200, self.stats())
            case path if path.startswith("/_"):
                await self._app(scope, receive, send)
            case _:
                await self._counted(scope, receive, send)

    def stats(self) -> dict[str, Any]:
        return {
            "requests": self._requests,
            "open": self._open,
            "most_at_once": self._most,
            "faults": dict(self._injected),
        }

    def _change(self, wanted: dict[str, Any]) -> None:
        assert wanted.keys() <= self._set.keys(), wanted
        assert wanted.get("rates", {}).keys() <= {*KINDS, "late_insert"}, wanted
        self._set |= wanted
        if "seed" in wanted:
            self._chance = random.Random(wanted["seed"])

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests += 1
        self._open += 1
        self._most = max(self._most, self._open)
        kind = self._draw()
        if kind:
            self._injected[kind] += 1
        try:
            await getattr(self, f"_{kind or 'well'}")(scope, receive, send)
        except ConnectionError:
            pass  # the client went away in the middle of its request
        finally:
            self._open -= 1

    def _draw(self) -> str | None:
        if self._set["outage"]:
            return "outage"
        drawn = self._chance.random()
        for kind, share in self._set["rates"].items():
            drawn -= share
            if drawn < 0:
                return str(kind)
        return None

    async def _well(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _outage(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._set["outage"] == "close":
            await self._close(scope, receive, send)
            return
        wait = self._set["retry_after"]
        await body_of(receive)
        await answer(send, 503, {"status": 503}, **({"retry_after": str(wait)} if wait is not None else {}))

    async def _fail(self, scope: Scope, receive: Receive, send: Send) -> None:
        await body_of(receive)
        wait = {"retry_after": "1"} if self._chance.random() < 0.3 else {}
        await answer(send, self._chance.choice([500, 503]), {"status": 500}, **wait)

    async def _close(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["abort"]()
        await until_gone(receive)

    async def _done_fail(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._do(scope, await body_of(receive))
        await answer(send, self._chance.choice([500, 502, 503, 504]), {"status": 500})

    async def _done_close(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._do(scope, await body_of(receive))
        await self._close(scope, receive, send)

    async def _done_hang(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._do(scope, await body_of(receive))
        await self._hang(receive)
        await self._close(scope, receive, send)

    async def _late(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A client that gave up is no longer counted; what it asked for is done all the same."""
        body, at = await body_of(receive), asyncio.get_running_loop().time() + self._set["hang"]
        if not await self._hang(receive):
            await self._do(scope, body, send)
            return
        self._go_on(self._do_at(at, scope, body))

    async def _late_insert(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._go_on(self._do({**scope, "insert_after": self._set["hang"]}, await body_of(receive)))
        await self._hang(receive)
        await self._close(scope, receive, send)

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        """Without the client."""
        doing = asyncio.create_task(work)
        self._doing.add(doing)
        doing.add_done_callback(self._doing.discard)

    async def _do_at(self, at: float, scope: Scope, body: bytes) -> None:
        await asyncio.sleep(at - asyncio.get_running_loop().time())
        await self._do(scope, body)

    async def _do(self, scope: Scope, body: bytes, send: Send | None = None) -> None:
        """The work, for a request whose body is known; without `send` its answer is thrown away."""
        sent = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Message:
            return next(sent, None) or await asyncio.get_running_loop().create_future()

        async def swallow(message: Message) -> None:
            pass

        await self._app(scope, receive, send or swallow)

    async def _hang(self, receive: Receive) -> bool:
        """Until the client has gone (True), for `hang` seconds at most."""
        try:
            async with asyncio.timeout(self._set["hang"]):
                await until_gone(receive)
        except TimeoutError:
            return False
        return True
