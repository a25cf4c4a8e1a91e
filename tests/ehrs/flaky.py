"""An EHR that is reached through bad weather: the faults of `tests/faults/faulty.py`, and what gateways add to them.

| kind | the server |
|---|---|
| `busy` | answers 429 with Retry-After in seconds, or 503 with it as a date, and does nothing |
| `html` | answers a gateway's page with 502 or 503, and does nothing |
| `done_html` | does the work and answers such a page |
| `done_dribble` | does the work, and its answer comes a byte at a time for `hang` seconds |
| `done_cut` | does the work, and hangs up in the middle of its answer |
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.ehrs.wire import FHIR_JSON
from tests.faults.asgi import App, Message, Receive, Scope, Send, answer, body_of
from tests.faults.faulty import KINDS, Faulty

Rates = Mapping[str, float]
GATEWAY_KINDS = ("busy", "html", "done_html", "done_dribble", "done_cut")
_PAGE = b"<html><body><h1>Bad gateway</h1>Mrs. Hale</body></html>"


def evenly(share: float) -> Rates:
    """Each kind of fault in the same part of this share of all requests."""
    kinds = (*KINDS, *GATEWAY_KINDS)
    return dict.fromkeys(kinds, share / len(kinds))


class Flaky(Faulty):
    """`reads` and `writes` are kinds of faults to their share of the requests; `hang` in seconds. `written` counts the
    writes that nothing happened to."""

    def __init__(self, app: App, reads: Rates, writes: Rates, hang: float, seed: int = 1) -> None:
        super().__init__(app)
        self.reads, self.writes = reads, writes
        self._set |= {"hang": hang, "seed": seed}
        self._chance = random.Random(seed)
        self.written = 0

    def heal(self) -> None:
        self.reads = self.writes = {}

    def fall(self, outage: str, retry_after: int | None = None) -> None:
        """`refuse` or `close`, until `rise`."""
        self._set |= {"outage": outage, "retry_after": retry_after}

    def rise(self) -> None:
        self._set["outage"] = None

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The rates are looked at before anything is awaited."""
        self._set["rates"] = self.reads if scope["method"] == "GET" else self.writes
        await super()._counted(scope, receive, send)

    async def _well(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.written += scope["method"] != "GET"
        await super()._well(scope, receive, send)

    async def _busy(self, scope: Scope, receive: Receive, send: Send) -> None:
        await body_of(receive)
        if self._chance.random() < 0.5:
            await answer(send, 429, {"status": 429}, retry_after="1")
        else:
            soon = datetime.now(UTC) + timedelta(seconds=1)
            await answer(send, 503, {"status": 503}, retry_after=format_datetime(soon, usegmt=True))

    async def _html(self, scope: Scope, receive: Receive, send: Send) -> None:
        await body_of(receive)
        await self._page(send)

    async def _done_html(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._do(scope, await body_of(receive))
        await self._page(send)

    async def _done_dribble(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What comes is white space, as before any JSON."""
        status, headers, _ = await self._answered(scope, receive)
        headers = [(name, value) for name, value in headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for _ in range(10):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(float(str(self._set["hang"])) / 10)
        await send({"type": "http.response.body", "body": b""})

    async def _done_cut(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, headers, body = await self._answered(scope, receive)
        longer = [(n, str(len(body) + 100).encode() if n == b"content-length" else v) for n, v in headers]
        await send({"type": "http.response.start", "status": status, "headers": longer})
        await send({"type": "http.response.body", "body": body[: len(body) // 2] or b" ", "more_body": True})
        await asyncio.sleep(0.01)
        await self._close(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """What the app answers: status, headers and body."""
        told: list[Message] = []

        async def keep(message: Message) -> None:
            told.append(message)

        await self._do(scope, await body_of(receive), keep)
        return told[0]["status"], list(told[0]["headers"]), told[1]["body"]

    async def _page(self, send: Send) -> None:
        """What stands between us and the EHR says so in its own way."""
        status = self._chance.choice([502, 503])
        kind = self._chance.choice(["text/html", FHIR_JSON])
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(_PAGE)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": _PAGE})
