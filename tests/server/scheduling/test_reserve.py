from __future__ import annotations

import pytest

from tipstaff_server.errors import Overloaded
from tipstaff_server.scheduling.admission import admit
from tipstaff_server.scheduling.queue import DeadlineQueue, Entry
from tipstaff_server.scheduling.reserve import Reserve


def test_what_short_requests_take_is_kept_for_them_and_then_forgotten():
    reserve = Reserve(workers=2)
    assert reserve.share(0.0) == 0
    for number in range(200):  # 20 a second of 10 ms: a tenth of two workers
        reserve.add(0.01, number / 20)
    assert reserve.share(10.0) == pytest.approx(0.2, rel=0.1)
    assert reserve.share(16.0) < 0.02
    for number in range(1000):
        reserve.add(1.0, 20.0 + number)
    assert reserve.share(1020.0) == 0.5


def test_a_long_request_leaves_the_reserve_free():
    runs = [
        Entry(None, "item", 1.0, 0.0, solo_seconds=0.1, run_seconds=0.1, cost_seconds=0.1)
        for _ in range(8)
    ]

    def check(reserved: float) -> None:
        admit(runs, DeadlineQueue(), (0.0,), arrived=0.0, now=0.0, capacity=99, reserved=reserved)

    check(0.0)
    check(0.15)
    with pytest.raises(Overloaded, match=r"would be 142\.9 ms late"):
        check(0.3)
