"""False alarms are rare, and changes are found."""

from __future__ import annotations

import numpy as np
import pytest

from tipstaff_trainer.monitoring import spikes
from tipstaff_trainer.monitoring.simulate import World, simulate
from tipstaff_trainer.monitoring.spikes import HOUR, HourlySeries, find_spikes


@pytest.mark.parametrize("world", [World(10), World(60, rhythm=0.8, spread=0.3)])
def test_at_most_one_false_alarm_a_month_over_all_charts(world):
    assert simulate(world, runs=10, seed=3).per_month <= 1


@pytest.mark.parametrize(("shift", "within"), [(-1.0, 12), (0.5, 48)])
def test_a_shift_is_found(shift, within):
    alarms = simulate(World(60, rhythm=0.5, spread=0.1, shift=shift), runs=5, seed=4, days=5)
    assert alarms.found == 1
    assert alarms.hours <= within


def series(shares, n=100):
    total = np.round(np.array(shares) * n)
    return HourlySeries(0, np.full(len(total), float(n)), total, total)


def test_a_spike_says_when_it_began_and_what_changed():
    generator = np.random.default_rng(0)
    shares = generator.binomial(100, 0.8, 24 * 20) / 100
    shares[24 * 18 :] -= 0.3
    (spike,) = find_spikes(series(shares))
    assert spike.direction == "down"
    assert abs(spike.start - 24 * 18 * HOUR) <= 3 * HOUR
    assert spike.found <= 24 * 18 * HOUR + 6 * HOUR
    assert spike.before == pytest.approx(0.8, abs=0.03)
    assert spike.value == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("hours", [0, 1, 47])
def test_too_little_to_compare_with_raises_no_alarm(hours):
    assert find_spikes(series([0.5] * hours)) == []


def test_hours_without_answers_and_one_odd_hour_are_no_spike():
    generator = np.random.default_rng(1)
    shares = generator.binomial(100, 0.8, 24 * 20) / 100
    shares[24 * 18] = 0.0
    quiet = series(shares)
    quiet.n[100:200] = quiet.total[100:200] = quiet.squares[100:200] = 0
    assert find_spikes(quiet) == []


def test_a_spike_is_compared_only_with_hours_that_have_a_prediction():
    ones = np.full(6, 10.0)
    hours = HourlySeries(0, ones, 0.8 * ones, 0.8 * ones)
    # The third hour has answers, and too few hours before it to predict it from.
    deviations = np.array([5.0, 5.0, np.nan, 5.0, 0.0, 0.0])
    predicted = np.array([0.2, 0.2, np.nan, 0.2, 0.2, 0.2])
    (spike,) = spikes._cusum(hours, deviations, predicted, "up")
    assert (spike.start, spike.found) == (0, 4 * HOUR)
    assert spike.before == pytest.approx(0.2)
