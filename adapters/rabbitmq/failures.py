"""The client's errors, in one place. Their texts may quote a message, so only their type is passed on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aio_pika.exceptions import CONNECTION_EXCEPTIONS

FAILURES: tuple[type[Exception], ...] = (*CONNECTION_EXCEPTIONS, asyncio.InvalidStateError)


@contextmanager
def failures_as(error: Callable[[str], Exception], and_also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raises `error(type of the failure)` for whatever the client or its connection raises.

    On a lost connection the client also cancels what waits for it; that is a failure too, unless our own task was
    cancelled.
    """
    try:
        yield
    except (*FAILURES, *and_also) as failure:
        raise error(type(failure).__name__) from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise error("ConnectionLost") from None


class WithoutContent(logging.Filter):
    """The client logs some messages whole: every argument that is not a plain word or number becomes its type's name."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                one if isinstance(one, str | int | float) else type(one).__name__ for one in record.args
            )
        return True


def keep_content_out_of_the_clients_logs() -> None:
    """Safe to call often: a logger keeps one copy of the same filter."""
    for name in ("aiormq.channel", "aiormq.connection", "aio_pika.message", "aio_pika.robust_channel"):
        logging.getLogger(name).addFilter(_WITHOUT_CONTENT)


_WITHOUT_CONTENT = WithoutContent()
