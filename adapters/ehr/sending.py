"""One request to the EHR: bounded in time, measured, and told to its destination."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from service.errors import Retryable
from service.telemetry import HTTP_SECONDS
from service.workflow.destinations import Destination
from service.workflow.retry_after import retry_after


async def sent(
    http: httpx.AsyncClient, request: httpx.Request, destination: Destination, timeout: float, **options: Any
) -> httpx.Response:
    """The answer, within `timeout` seconds. Raises TimeoutError, httpx.RequestError, and Retryable without having sent
    the request. That a token endpoint does not answer says nothing about the EHR."""
    with destination.call() as call:
        began, code = time.monotonic(), "error"
        try:
            async with asyncio.timeout(timeout):
                response = await http.send(request, **options)
            code = str(response.status_code)
        except TimeoutError:
            call.unanswered(no_connection=False)
            raise
        except httpx.RequestError as error:
            if error.request is not request:
                raise Retryable("ehr_token_unreachable", type(error).__name__) from None
            call.unanswered(no_connection=isinstance(error, httpx.ConnectError | httpx.ConnectTimeout))
            raise
        finally:
            HTTP_SECONDS.labels("ehr", code).observe(time.monotonic() - began)
        call.answered(response.status_code, retry_after(response.headers.get("Retry-After")))
        return response
