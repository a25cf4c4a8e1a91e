"""How far the EHR's clock is from ours, by the `Date` of an answer (RFC 9110 §6.6.1: whole seconds)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx

from service.errors import Retryable


async def seconds_ahead(
    http: httpx.AsyncClient, base_url: str, clock: Callable[[], float] = time.time, patience: float = 10.0
) -> float | None:
    """Whatever the status; None where the answer has no readable date. `clock` gives seconds since 1970. Raises Retryable.

    The answer's second has begun somewhere between the request and now, so the middle of the two is what it is held to.
    """
    began = clock()
    try:
        async with asyncio.timeout(patience), http.stream("GET", f"{base_url}/metadata") as answer:
            date = answer.headers.get("Date", "")
    except (TimeoutError, httpx.RequestError) as error:
        raise Retryable("ehr_unreachable", type(error).__name__) from None
    try:
        theirs = parsedate_to_datetime(date).timestamp() + 0.5
    except (ValueError, TypeError, OverflowError):
        return None
    return theirs - (began + clock()) / 2
