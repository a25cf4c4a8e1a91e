"""What is in front of an API that anybody on this machine may use: pages of other sites, in a browser here, may not."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from service.ambient.errors import FORBIDDEN, ApiError, refusal
from service.unsafe_settings import is_loopback

_AUTHORITY = r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{0,5})?"
_HOST = re.compile(_AUTHORITY, re.IGNORECASE | re.ASCII)
_ORIGIN = re.compile(rf"https?://{_AUTHORITY}", re.IGNORECASE | re.ASCII)

_WHY = (
    "without authentication only requests to this machine's own name, and from its own pages, are served: "
    "set AMBIENT_API__CLIENTS, or name the host in AMBIENT_HTTP__PUBLIC_URL"
)


class LoopbackOnly:
    """Serves requests whose `Host`, and `Origin` if any, is loopback or the host of `public_url`; 403 for all others.

    A site can point a name of its own at this machine (DNS rebinding), but `Host` then is that name; and a browser lets
    its pages post to other sites without asking these, but says in `Origin` where they are from.
    """

    def __init__(self, app: ASGIApp, public_url: str | None) -> None:
        self._app = app
        self._public = _name(_ORIGIN, "/".join((public_url or "").split("/")[:3]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_own(Headers(scope=scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        else:
            await refusal(Request(scope), ApiError(403, FORBIDDEN, _WHY))(scope, receive, send)

    def _is_own(self, headers: Headers) -> bool:
        hosts = [_name(_HOST, host) for host in headers.getlist("host")]
        origins = [_name(_ORIGIN, origin) for origin in headers.getlist("origin")]
        named = (*hosts, *origins)
        return len(hosts) == 1 and all(name and (name == self._public or is_loopback(name)) for name in named)


def _name(form: re.Pattern[str], text: str) -> str:
    """Without its port, in lower case; empty for what has another form."""
    match = form.fullmatch(text)
    return match[1].lower() if match else ""
