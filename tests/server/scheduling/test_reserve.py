from __future__ import annotations

import pytest

from tipstaff_server.errors import Overloaded
from tipstaff_server.scheduling import Dispatcher, Measurement
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


@pytest.mark.parametrize("refuse", ["submit", "check", "check of a long one"])
def test_refused_short_requests_count(fake_model, refuse):
    """Else long requests that fill the queue would keep it, since nothing short gets in."""
    now = 0.0
    dispatcher = Dispatcher(workers=1, max_queue=8, clock=lambda: now)
    model = fake_model(batchable=False)
    dispatcher._costs.learn(model, [Measurement(batch=1, length=4, seconds=0.1)])
    long = ["item"] * 8

    def ask() -> None:
        if refuse == "submit":
            dispatcher.submit(model, ["item"], now + 1)
        else:
            dispatcher.check(model, 4, now + 1, arrived=now, is_short=refuse == "check")

    runs = dispatcher.submit(model, long, now + 1)
    for _ in range(10):
        now += 0.01
        with pytest.raises(Overloaded, match="8 requests are waiting"):
            ask()
    for run in runs:
        run.cancel()
    now += 0.01
    if refuse == "check of a long one":
        dispatcher.submit(model, long, now + 1)
    else:
        with pytest.raises(Overloaded, match="late"):
            dispatcher.submit(model, long, now + 1)


def test_long_requests_with_late_deadlines_leave_half_of_the_queue(fake_model):
    """A batch of 128 texts of 16 runs each would fill any queue until its deadline."""
    now = 0.0
    dispatcher = Dispatcher(workers=1, max_queue=64, clock=lambda: now)
    model = fake_model(batchable=False)
    dispatcher._costs.learn(model, [Measurement(batch=1, length=4, seconds=0.001)])

    for _ in range(2):
        dispatcher.submit(model, ["item"] * 16, now + 60)
    with pytest.raises(Overloaded, match="32 requests are waiting, and 32 may"):
        dispatcher.submit(model, ["item"] * 16, now + 60)
    with pytest.raises(Overloaded, match="32 requests are waiting, and 32 may"):
        dispatcher.check(model, 4, now + 60, arrived=now)
    for _ in range(32):
        dispatcher.check(model, 4, now + 0.3, arrived=now, is_short=True)
        dispatcher.submit(model, ["item"], now + 0.3)
    with pytest.raises(Overloaded, match="64 requests are waiting, and 64 may"):
        dispatcher.submit(model, ["item"], now + 0.3)
