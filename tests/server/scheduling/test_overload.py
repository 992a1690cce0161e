"""Simulated goodput under overload: answers in time, as a share of what the server could do."""

from __future__ import annotations

import random

import pytest


def poisson(rng, rate, seconds):
    now = rng.expovariate(rate)
    while now < seconds:
        yield now
        now += rng.expovariate(rate)


@pytest.mark.parametrize("load", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("budgets", [(0.1,), (0.05, 0.1, 0.3)], ids=["alike", "mixed"])
def test_one_request_a_run(simulate, arrival, fake_model, linear_costs, load, budgets):
    model, rng = fake_model(batchable=False), random.Random(1)
    costs = linear_costs(model, fixed=0.001, per_token=4e-5)
    mean = 0.001 + 4e-5 * 68
    arrivals = [
        arrival(at, rng.randint(8, 128), rng.choice(budgets), model)
        for at in poisson(rng, load * 2 / mean, 6.0)
    ]
    noise = random.Random(2)
    outcome = simulate(arrivals, costs, workers=2, actual=lambda s: s * noise.uniform(0.7, 1.3))
    assert outcome.in_time >= 0.95 * min(1.0, 1 / load) * len(arrivals)
    assert outcome.in_time >= 0.97 * len(outcome.answered)


@pytest.mark.parametrize("load", [1.0, 3.0])
@pytest.mark.parametrize("models", [1, 2])
def test_batches_stay_large(simulate, arrival, fake_model, linear_costs, load, models):
    served, rng = [fake_model() for _ in range(models)], random.Random(1)
    costs = linear_costs(*served, fixed=0.004, per_token=2e-6)
    capacity = 32 / (0.004 + 32 * 64 * 2e-6)
    arrivals = [
        arrival(at, rng.randint(52, 64), 0.1, rng.choice(served))
        for at in poisson(rng, load * capacity, 1.5)
    ]
    outcome = simulate(arrivals, costs, workers=1)
    assert outcome.in_time >= 0.8 * min(1.0, 1 / load) * len(arrivals)
