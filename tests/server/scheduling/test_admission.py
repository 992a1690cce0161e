from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tipstaff_server.errors import DeadlineUnreachable, Overloaded
from tipstaff_server.scheduling.admission import admit
from tipstaff_server.scheduling.queue import DeadlineQueue, Entry


def entry(deadline: float, seconds: float = 1.0) -> Entry:
    return Entry(
        None, "item", deadline, 0.0, solo_seconds=seconds, run_seconds=seconds, cost_seconds=seconds
    )


def queue_of(*entries: Entry) -> DeadlineQueue:
    queue = DeadlineQueue()
    for one in entries:
        queue.insert(one)
    return queue


def check(
    new: Entry, queue: DeadlineQueue, busy_until=(0.0,), *, arrived=0.0, now=0.0, capacity=99
):
    admit([new], queue, busy_until, arrived=arrived, now=now, capacity=capacity)


def test_an_idle_server_admits_whatever_it_can_finish():
    check(entry(1.0), queue_of())
    with pytest.raises(DeadlineUnreachable, match=r"needs about 1000\.0 ms for 4 tokens"):
        check(entry(0.9), queue_of())


def test_a_deadline_already_past_is_unreachable_even_for_an_unknown_model():
    with pytest.raises(DeadlineUnreachable):
        check(entry(0.0, seconds=0.0), queue_of())


def test_time_spent_before_submission_is_the_servers_doing():
    with pytest.raises(Overloaded) as refusal:
        check(entry(2.0), queue_of(), arrived=0.0, now=1.5)
    assert refusal.value.reason == "deadline"
    with pytest.raises(DeadlineUnreachable):
        check(entry(2.0), queue_of(), arrived=1.5, now=1.5)


def test_a_full_queue_says_when_it_will_be_worked_off():
    with pytest.raises(Overloaded, match="2 requests are waiting") as refusal:
        check(entry(99.0), queue_of(entry(50.0), entry(60.0)), (1.0,), capacity=2)
    assert refusal.value.reason == "queue_full"
    assert refusal.value.retry_after == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("busy_until", "deadline", "late_by"),
    [
        ((0.0,), 3.0, 0.0),
        ((0.0,), 2.5, 0.5),
        ((1.0,), 4.0, 0.0),
        ((1.0,), 3.5, 0.5),
        ((0.0, 0.0), 2.0, 0.0),
        ((0.0, 9.0), 3.0, 0.0),
        ((2.0, 2.0), 4.0, 0.0),
        ((2.0, 2.0), 3.9, 0.1),
    ],
)
def test_counts_running_work_and_what_is_queued_before(busy_until, deadline, late_by):
    queue = queue_of(entry(1.1), entry(1.2))
    if not late_by:
        check(entry(deadline), queue, busy_until)
        return
    with pytest.raises(Overloaded) as refusal:
        check(entry(deadline), queue, busy_until)
    assert refusal.value.reason == "deadline"
    assert refusal.value.retry_after == pytest.approx(late_by)


@pytest.mark.parametrize(
    ("runs", "workers", "needed"),
    [(2, 1, 2.0), (2, 2, 1.0), (3, 2, 2.0), (16, 4, 4.0), (1, 4, 1.0)],
)
def test_the_runs_of_a_request_share_the_workers(runs, workers, needed):
    def ask(deadline: float) -> None:
        entries = [entry(deadline) for _ in range(runs)]
        admit(entries, queue_of(), (0.0,) * workers, arrived=0.0, now=0.0, capacity=1)

    ask(needed)
    with pytest.raises(DeadlineUnreachable, match=rf"needs about {needed * 1e3:.1f} ms"):
        ask(needed - 0.1)


def test_runs_that_would_break_a_promise_are_refused_together():
    waiting = queue_of(entry(5.0))
    admit([entry(4.0)] * 4, waiting, (0.0,), arrived=0.0, now=0.0, capacity=9)
    with pytest.raises(Overloaded, match="late"):
        admit([entry(4.5, 0.9)] * 5, waiting, (0.0,), arrived=0.0, now=0.0, capacity=9)


def test_does_not_count_what_is_queued_behind():
    check(entry(1.0), queue_of(*[entry(100.0 + number) for number in range(10)]))


def test_an_admission_is_a_promise():
    queue = queue_of(entry(1.5), entry(3.5))
    with pytest.raises(Overloaded, match="admitted before it") as refusal:
        check(entry(1.0), queue)
    assert refusal.value.retry_after == pytest.approx(0.5)
    check(entry(1.0, seconds=0.5), queue)


def test_what_is_late_anyhow_stands_in_nobodys_way():
    queue = queue_of(entry(0.5), entry(5.0))
    check(entry(0.4, seconds=0.4), queue)


def test_retries_are_not_asked_for_at_once():
    with pytest.raises(Overloaded) as refusal:
        check(entry(2.0, seconds=1.0001), queue_of(entry(1.0)))
    assert refusal.value.retry_after == 0.01


# Multiples of 1/64, so that times add up without rounding.
TIMES = st.integers(1, 64).map(lambda number: number / 64)


# The workers' exact plan admits the third, and the fourth would run before it.
@example(
    [
        (1 / 64, 14, 1 / 64, 1),
        (1 / 64, 15, 1 / 64, 1),
        (1 / 64, 2, 14 / 64, 5),
        (1 / 64, 1, 14 / 64, 1),
    ],
    2,
)
@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(TIMES, st.integers(1, 32), TIMES, st.sampled_from([1, 1, 1, 2, 5])),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from([1, 2, 4]),
)
def test_no_admitted_request_is_late_whatever_comes_later(
    simulate, arrival, fake_model, linear_costs, requests, workers
):
    model = fake_model(batchable=False)
    now, arrivals = 0.0, []
    for gap, length, slack, runs in requests:
        now += gap / 32
        alone = length / 64 * -(-runs // workers)
        arrivals.append(arrival(now, length, alone + slack, model, runs))
    costs = linear_costs(model, per_token=1 / 64)
    outcome = simulate(arrivals, costs, workers=workers)
    assert outcome.dropped == 0
    assert outcome.in_time + outcome.refused == sum(one.runs for one in arrivals)
    assert outcome.answered, "the first finds the server idle"
