from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipstaff_server.access.fairness import FairShare, Load, water_level
from tipstaff_server.errors import Overloaded

COST = 0.01


def simulate(rates: dict[str, float], weights: dict[str, float], *, seconds: float = 40.0):
    """Interactions a second that each caller gets from one worker, by Poisson arrivals."""
    random_state = random.Random(1)
    arrivals = sorted(
        (at, name) for name, rate in rates.items() for at in _arrivals(rate, seconds, random_state)
    )
    fair, got, refusals = FairShare(1), Counter[str](), list[Overloaded]()
    for at, name in arrivals:
        try:
            expected = fair.admit(name, weights.get(name, 1.0), at)
        except Overloaded as error:
            refusals.append(error)
            continue
        fair.settle(name, expected, COST, at)
        got[name] += at > seconds / 4
    assert {each.reason for each in refusals} <= {"caller_share"}
    assert all(0 < each.retry_after <= 1 for each in refusals)
    return {name: got[name] / (0.75 * seconds) for name in rates}


def _arrivals(rate: float, seconds: float, random_state: random.Random):
    at = random_state.expovariate(rate)
    while at < seconds:
        yield at
        at += random_state.expovariate(rate)


def test_a_flood_takes_nothing_from_a_caller_within_its_share():
    alone = simulate({"calm": 30}, {})
    beside = simulate({"calm": 30, "flood": 1000}, {})
    assert beside["calm"] >= 0.99 * alone["calm"]
    # The flood gets what is left of the 85 interactions a second that are assigned.
    assert beside["flood"] == pytest.approx(55, rel=0.1)


def test_floods_share_by_weight():
    got = simulate({"one": 500, "two": 500}, {"two": 2.0})
    assert got["two"] / got["one"] == pytest.approx(2, rel=0.1)
    assert sum(got.values()) == pytest.approx(85, rel=0.05)


def test_one_caller_alone_is_never_refused_here():
    assert simulate({"only": 300}, {})["only"] == pytest.approx(300, rel=0.1)


def test_nobody_is_refused_while_there_is_time_for_all():
    got = simulate({"one": 30, "two": 30}, {"two": 0.01})
    assert sum(got.values()) == pytest.approx(60, rel=0.1)


def test_a_caller_that_stopped_competes_no_more():
    fair, now = FairShare(1), 0.0
    for _ in range(2000):
        now += 0.001
        for name in ("one", "two"):
            try:
                fair.settle(name, fair.admit(name, 1.0, now), COST, now)
            except Overloaded:
                continue
    now += 10
    for _ in range(2000):
        now += 0.02
        fair.settle("one", fair.admit("one", 1.0, now), COST, now)


def test_a_flood_is_let_in_by_small_bursts():
    fair, now, let_in = FairShare(1), 0.0, []
    for step in range(10_000):
        now += 0.001
        if step % 50 == 0:
            fair.settle("calm", fair.admit("calm", 1.0, now), COST, now)
        try:
            fair.settle("flood", fair.admit("flood", 1.0, now), COST, now)
        except Overloaded:
            continue
        let_in.append(now)
    late = [at for at in let_in if at > 5]
    # The time that is assigned less what the calm one asks, and never much at once.
    assert len(late) * COST / 5 == pytest.approx(0.65, rel=0.1)
    assert max(sum(at <= each < at + 0.05 for each in late) for at in late) <= 10


def test_a_large_call_of_a_flood_is_refused_at_once_and_counts_as_demand():
    fair = FairShare(1)
    fair.check("new", 1.0, 1000, 0.0)
    load = Load(share=0.5, beyond=True, level=1.0, mean_seconds=COST)
    fair._loads["one"] = load
    with pytest.raises(Overloaded):
        fair.check("one", 1.0, 100, 0.0)
    assert load.demand == pytest.approx(100 * COST)


def test_what_was_never_run_is_not_used():
    fair = FairShare(1)
    load = Load(share=0.5)
    fair._loads["one"] = load
    fair.settle("one", fair.admit("one", 1.0, 0.0), COST, 0.0)
    before = load.level
    assert before == pytest.approx(COST)
    fair.settle("one", fair.admit("one", 1.0, 0.0), None, 0.0)
    assert load.level == pytest.approx(before)


@given(
    st.lists(st.tuples(st.floats(0.001, 10), st.floats(0.01, 100)), min_size=1, max_size=8),
    st.floats(0.05, 0.95),
)
def test_the_water_level_uses_all_of_the_time(callers, share):
    demands, weights = zip(*callers, strict=True)
    time = share * sum(demands)
    level = water_level(demands, weights, time)
    got = [min(demand, level * weight) for demand, weight in callers]
    assert sum(got) == pytest.approx(time, rel=1e-6)
