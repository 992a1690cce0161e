from __future__ import annotations

from tipstaff_server.evaluator.quality import Interval


def test_an_interval_from_0_to_1_says_that_it_says_nothing():
    nothing = Interval(value=1.0, low=0.0, high=1.0, n=2)
    assert str(nothing) == "1.000 (too few rows to say)"
    assert nothing.ends(".1%") == "too few rows to say"
    little = Interval(value=1.0, low=0.16, high=1.0, n=2)
    assert str(little) == "1.000 (0.160 to 1.000)"
    assert little.ends(".1%") == "16.0% to 100.0%"
