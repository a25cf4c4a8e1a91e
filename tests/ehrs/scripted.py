"""An EHR that answers once, or for a while, as a test wants it, and is itself again afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.ehrs.wire import BASE, Asked, Told
from tests.faults.asgi import App, Message, Receive, Scope, Send, body_of


@dataclass
class _Instead:
    method: str
    kind: str
    told: Told
    times: int
    done: bool


@dataclass
class Scripted:
    """The ASGI app around another. `seen` are the requests of notes, in their order."""

    app: App
    seen: list[Asked] = field(default_factory=list)
    _instead: list[_Instead] = field(default_factory=list)

    def will_answer(
        self, method: str, kind: str, status: int, content: Any = None, *,
        headers: Mapping[str, str] | None = None, times: int = 1, done: bool = False,
    ) -> None:  # fmt: skip
        """To the next `times` requests of this method and type (`""`: the base). `done`: after the work. Bytes are sent as
        they are."""
        self._instead.append(_Instead(method, kind, Told(status, content, headers or {}), times, done))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await body_of(receive)
        asked = Asked.of(scope, body)
        if asked.path.partition("/")[0] == "DocumentReference" and scope["path"].startswith(BASE):
            self.seen.append(asked)
        sent = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Message:
            return next(sent, None) or await receive()

        instead = self._next(asked)
        if instead is None or instead.done:
            await self.app(scope, again, send if instead is None else _swallow)
        if instead:
            await instead.told.send(send)

    def _next(self, asked: Asked) -> _Instead | None:
        kind = asked.path.partition("/")[0]
        for one in self._instead:
            if (one.method, one.kind) == (asked.method, kind) and one.times > 0:
                one.times -= 1
                return one
        return None

    def posted(self) -> int:
        """How often a note was sent."""
        return sum(asked.method == "POST" for asked in self.seen)


async def _swallow(message: Message) -> None:
    pass
