"""httpx's API over aiohttp, which costs a fifth of the CPU."""

from __future__ import annotations

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport


class Network(AiohttpTransport):  # type: ignore[misc]  # a library without types
    """httpx_aiohttp calls every failure of a connection a ConnectTimeout, and lets through what aiohttp says of an answer
    that is not HTTP. What matters is whether anything was sent: not with ConnectError and ConnectTimeout, maybe with
    ReadError and RemoteProtocolError. The latter quotes nothing: an answer may hold anything."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response: httpx.Response = await super().handle_async_request(request)
            return response
        except httpx.ConnectTimeout as error:
            match error.__cause__:
                case TimeoutError():
                    raise
                case aiohttp.ClientConnectorError():
                    raise httpx.ConnectError(str(error)) from error
                case _:
                    raise httpx.ReadError(str(error)) from error
        except (aiohttp.ClientError, UnicodeEncodeError) as error:  # of the words beside the status
            raise httpx.RemoteProtocolError(type(error).__name__) from error
