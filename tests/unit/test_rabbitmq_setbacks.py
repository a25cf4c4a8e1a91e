"""An outage is asked about ever more seldom; a single bad delivery is told apart from it."""

from __future__ import annotations

import asyncio
import logging

from adapters.rabbitmq.failures import keep_content_out_of_the_clients_logs
from adapters.rabbitmq.setbacks import Setbacks


async def timed(setbacks: Setbacks) -> tuple[float, bool]:
    clock = asyncio.get_running_loop().time
    begun = clock()
    outage = await setbacks.pause()
    return clock() - begun, outage


async def test_pauses_grow_up_to_the_longest_while_nothing_succeeds():
    setbacks = Setbacks(first_pause=0.02, longest_pause=0.1)
    pauses = [await timed(setbacks) for _ in range(6)]
    assert all(outage for _, outage in pauses)
    assert pauses[0][0] < 0.06
    assert 0.09 < pauses[-1][0] < 0.2


async def test_many_failures_at_the_same_time_count_as_one_setback():
    setbacks = Setbacks(first_pause=0.02)
    pauses = await asyncio.gather(*(timed(setbacks) for _ in range(16)))
    assert max(seconds for seconds, _ in pauses) < 0.2


async def test_the_first_success_ends_the_pause_of_the_others():
    setbacks = Setbacks(first_pause=0.02)
    await setbacks.pause()
    await asyncio.sleep(0.5)
    waiting = asyncio.create_task(timed(setbacks))
    await asyncio.sleep(0.05)
    setbacks.succeeded()
    seconds, outage = await waiting
    assert (seconds < 0.3, outage) == (True, False)


async def test_a_success_in_between_means_it_is_no_outage():
    setbacks = Setbacks(first_pause=0.05)
    waiting = asyncio.create_task(timed(setbacks))
    await asyncio.sleep(0)
    setbacks.succeeded()
    seconds, outage = await waiting
    assert (seconds > 0.04, outage) == (True, False)


async def test_stopping_ends_every_pause():
    setbacks = Setbacks(first_pause=5)
    waiting = asyncio.create_task(timed(setbacks))
    await asyncio.sleep(0)
    setbacks.stop()
    seconds, outage = await waiting
    assert (seconds < 1, outage) == (True, False)


def test_the_clients_log_lines_hold_no_message(caplog):
    keep_content_out_of_the_clients_logs()
    keep_content_out_of_the_clients_logs()
    logging.getLogger("aiormq.channel").error("Unhandled message %r returning %d", {"body": b"Erika"}, 7)
    assert caplog.messages == ["Unhandled message 'dict' returning 7"]
