"""Counting in minutes: bounded in memory, by address or network."""

from __future__ import annotations

import pytest

from service.api.rate import Rate, network_of


class Clock:
    time = 100.0

    def __call__(self) -> float:
        return self.time


def test_a_minute_begins_with_the_first_and_ends_for_all_of_it() -> None:
    clock = Clock()
    counted = Rate(2, clock)
    counted.count("a")
    clock.time += 40
    assert counted.wait("a") == 0
    counted.count("a")
    assert (counted.wait("a"), counted.wait("b")) == (20, 0)
    clock.time += 19.5
    assert counted.wait("a") == 1
    clock.time += 0.5
    assert counted.wait("a") == 0
    counted.count("a")
    assert counted.wait("a") == 0


def test_so_many_keys_are_remembered_and_no_more() -> None:
    counted = Rate(1, Clock(), keys=3)
    for key in "abcd":
        counted.count(key)
    assert [counted.wait(key) > 0 for key in "abcd"] == [False, True, True, True]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_one_caller_holds_a_whole_network_of_ipv6(address: str, network: str) -> None:
    assert network_of(address) == network
