"""Guessing the token gets slower and slower."""

from __future__ import annotations

import pytest

from tipstaff_trainer.desk import attempts as attempts_module
from tipstaff_trainer.desk.attempts import Attempts


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_waits_double_up_to_five_minutes_and_are_forgotten_after_an_hour(clock):
    attempts = Attempts(clock)
    assert [attempts.take("10.0.0.1") for _ in range(5)] == [0.0] * 5
    waits = []
    for _ in range(12):
        waits.append(attempts.take("10.0.0.1"))
        assert attempts.take("10.0.0.1") == waits[-1]  # an attempt while waiting doesn't count
        clock.now += waits[-1]
        assert attempts.take("10.0.0.1") == 0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    clock.now += 3601
    assert [attempts.take("10.0.0.1") for _ in range(5)] == [0.0] * 5


def test_another_address_and_one_that_got_in_start_anew(clock):
    attempts = Attempts(clock)
    for _ in range(6):
        attempts.take("10.0.0.1")
    assert attempts.take("10.0.0.2") == 0
    assert attempts.take("::ffff:10.0.0.1") > 0
    attempts.succeeded("10.0.0.1")
    assert attempts.take("10.0.0.1") == 0


def test_an_ipv6_network_is_one_guesser(clock):
    attempts = Attempts(clock)
    assert [attempts.take(f"2001:db8::{number}") for number in range(6)] == [0.0] * 5 + [1.0]
    assert attempts.take("2001:db8:0:1::1") == 0


def test_many_addresses_take_no_end_of_memory(clock, monkeypatch):
    monkeypatch.setattr(attempts_module, "_MOST_ADDRESSES", 3)
    attempts = Attempts(clock)
    for number in range(10):
        attempts.take(f"10.0.0.{number}")
    assert len(attempts._tries) == 3
