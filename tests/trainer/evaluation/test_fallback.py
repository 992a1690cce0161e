"""What words say of unlike rows is fitted on training rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tipstaff.types import Interaction
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.evidence import NAMES, NONE, SHARE_OF_OUTPUT
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.fallback import fit_fallback

IDS = np.zeros(3, dtype=np.int64)


def encoded(share, missing=()):
    evidence = np.ones(len(NAMES), dtype=np.float32)
    evidence[SHARE_OF_OUTPUT] = share
    return Encoded((Tokens(IDS, IDS, evidence),), (0,), {}, missing)


def fit(slope, *, n=4000, weight=1.0):
    generator = np.random.default_rng(3)
    shares = generator.random(n)
    good = generator.random(n) < 1 / (1 + np.exp(-(slope * shares - 1)))
    rows = [
        Row(Interaction("", "x", "y"), float(label), str(place), weight=weight if label else 1.0)
        for place, label in enumerate(good)
    ]
    return fit_fallback(rows, [encoded(share) for share in shares]), good


def test_the_more_words_are_found_the_better():
    fallback, _ = fit(4.0)
    assert fallback.slope == pytest.approx(4.0, abs=0.5)
    assert fallback.intercept == pytest.approx(-1.0, abs=0.3)


def test_found_words_never_count_against_an_output():
    fallback, good = fit(-4.0, weight=2.0)
    assert fallback.slope == 0.0
    # The share of the weight that good rows have.
    ratio = 2.0 * good.sum() / (~good).sum()
    assert fallback.intercept == pytest.approx(math.log(ratio))


def test_rows_without_a_ground_truth_say_nothing_of_words():
    rows = [Row(Interaction("", "x", "y"), place % 2, str(place)) for place in range(40)]
    shares = [encoded(0.3 + 0.4 * row.label) for row in rows]
    lacking = [encoded(0.0, ("ground_truth",))] * 40
    good = [Row(Interaction("", "x"), 1.0, f"good {place}") for place in range(40)]
    assert fit_fallback([*rows, *good], [*shares, *lacking]) == fit_fallback(rows, shares)
    assert fit_fallback(good, lacking) is None


def test_without_evidence_or_with_one_class_there_is_none():
    rows = [Row(Interaction("", "x", "y"), float(place % 2), str(place)) for place in range(40)]
    assert fit_fallback(rows, [Encoded((Tokens(IDS, IDS, NONE),), (0,), {})] * 40) is None
    assert fit_fallback(rows[::2] * 2, [encoded(0.5)] * 40) is None
