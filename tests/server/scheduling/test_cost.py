from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipstaff_server.scheduling.cost import CostModel, Measurement, Profile, measure

GRID = [
    Measurement(1, 10, 1.0),
    Measurement(1, 20, 3.0),
    Measurement(4, 10, 2.0),
    Measurement(4, 20, 6.0),
]


@pytest.mark.parametrize(
    ("batch", "length", "seconds"),
    [
        (1, 10, 1.0),
        (1, 15, 2.0),
        (1, 5, 1.0),
        (1, 40, 6.0),
        (4, 20, 6.0),
        (2, 10, 1.0 + 1 / 3),
        (2, 15, 2.0 + 2 / 3),
        (8, 20, 12.0),
        (8, 40, 24.0),
    ],
)
def test_interpolates_within_and_scales_beyond_what_was_measured(batch, length, seconds):
    assert Profile(GRID).seconds(batch, length, now=0.0) == pytest.approx(seconds)


def test_unknown_models_cost_nothing(fake_model):
    model, costs = fake_model(), CostModel()
    assert costs.seconds(model, 1, 100, now=0.0) == 0.0
    assert costs.best_batch(model, 100) == 1
    assert costs.profile(model, now=0.0) == ()


def test_a_run_that_ends_late_does_not_bring_a_forgotten_model_back(fake_model):
    model, costs = fake_model(), CostModel()
    costs.learn(model, GRID)
    assert costs.profile(model, now=0.0) == tuple(sorted(GRID))
    costs.forget(model)
    costs.observe(model, 1, 10, 5.0, now=1.0)
    assert costs.seconds(model, 1, 10, now=1.0) == 0.0


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_follows_what_it_observes(factor):
    profile, now = Profile(GRID), 0.0
    for _ in range(100):
        now += 0.01
        profile.observe(1, 15, 2.0 * factor, now)
    assert profile.seconds(4, 20, now) == pytest.approx(6.0 * factor, rel=0.05)


@pytest.mark.parametrize("outlier", [0.0, 1000.0])
def test_one_outlier_moves_it_by_at_most_a_tenth(outlier):
    profile = Profile(GRID)
    profile.observe(1, 10, outlier, now=0.0)
    assert profile.seconds(1, 10, now=0.0) == pytest.approx(1.0, rel=0.101)


def test_a_slow_spell_is_forgotten_when_nothing_runs():
    profile = Profile(GRID)
    for _ in range(50):
        profile.observe(1, 10, 4.0, now=0.0)
    assert profile.seconds(1, 10, now=0.0) > 3.0
    assert profile.seconds(1, 10, now=10.0) == pytest.approx(1.0, rel=0.01)


def test_a_fast_spell_is_remembered():
    profile = Profile(GRID)
    for _ in range(50):
        profile.observe(1, 10, 0.5, now=0.0)
    assert profile.seconds(1, 10, now=10.0) == pytest.approx(0.5, rel=0.02)


def test_aims_for_the_smallest_batch_that_is_nearly_best():
    profile = Profile(
        [
            Measurement(1, 10, 1.0),
            Measurement(2, 10, 1.2),
            Measurement(4, 10, 2.3),
            Measurement(1, 100, 5.0),
            Measurement(2, 100, 9.9),
        ]
    )
    assert profile.best_batch(10) == 2
    assert profile.best_batch(3) == 2
    assert profile.best_batch(100) == 1
    assert profile.best_batch(500) == 1


@given(
    st.dictionaries(
        st.tuples(st.sampled_from([1, 2, 4, 8]), st.integers(1, 100)), st.floats(1e-4, 10.0)
    ),
    st.integers(1, 20),
    st.integers(1, 200),
)
def test_predictions_stay_within_the_measured_or_scale_from_it(points, batch, length):
    grid = [Measurement(1, 1, 1e-4), Measurement(1, 100, 10.0)]
    grid += [
        Measurement(b, n, s) for (b, n), s in points.items() if (b, n) not in ((1, 1), (1, 100))
    ]
    seconds = Profile(grid).seconds(batch, length, now=0.0)
    assert 1e-4 <= seconds <= 10.0 * 20 * 200


def test_measures_every_shape_within_the_limits_and_the_least_time(fake_model):
    model = fake_model()
    ticks = iter([0.0, 3.0, 3.0, 4.0] * 100)
    points = list(
        measure(
            model,
            lambda length: "x" * min(length, 8),
            (4, 8, 16),
            max_size=4,
            max_tokens=16,
            clock=lambda: next(ticks),
        )
    )
    assert points == [
        Measurement(1, 4, 1.0),
        Measurement(2, 4, 1.0),
        Measurement(4, 4, 1.0),
        Measurement(1, 8, 1.0),
        Measurement(2, 8, 1.0),
    ]


def test_measures_single_requests_only_where_none_may_share_a_run(fake_model):
    model = fake_model(batchable=False)
    points = list(
        measure(model, lambda n: "x" * n, (4, 99), max_size=8, max_tokens=50, clock=lambda: 0.0)
    )
    assert [(point.batch, point.length) for point in points] == [(1, 4), (1, 99)]
