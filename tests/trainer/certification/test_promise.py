from __future__ import annotations

import numpy as np
import pytest

from tipstaff.errors import UsageError
from tipstaff_trainer.certification.promise import Promise, certified_cuts, check_enough
from tipstaff_trainer.errors import CertificationError

LOW, HIGH = np.full(100, 0.1), np.full(100, 0.9)


def test_fifty_nine_bad_rows_are_enough_and_fifty_eight_are_not():
    check_enough(59, 0, Promise())
    with pytest.raises(CertificationError, match=r"58 bad rows .* takes 59 .*label 1 more bad"):
        check_enough(58, 0, Promise())


def test_only_the_class_that_is_promised_of_counts():
    check_enough(0, 59, Promise(max_false_pass=1, max_false_block=0.05))
    with pytest.raises(CertificationError, match="12 good rows"):
        check_enough(59, 12, Promise(max_false_block=0.05))


def test_cuts_that_overlap_meet_in_the_middle():
    found = certified_cuts(LOW, HIGH, Promise(0.05, 0.05))
    assert found.false_pass.at < 0.5 < found.false_block.at
    assert found.pass_at == found.block_below == 0.5


def test_cuts_of_an_unsure_evaluator_leave_a_review_between():
    generator = np.random.default_rng(0)
    found = certified_cuts(generator.beta(2, 3, 200), generator.beta(3, 2, 200), Promise(0.1, 0.1))
    assert found.block_below < 0.5 < found.pass_at


@pytest.mark.parametrize(("bad", "expected"), [(0.1, (0.1, 0.1)), (0.9, (0.9, 0.5))])
def test_block_without_a_promise_is_for_the_likely_bad_and_never_above_pass(bad, expected):
    found = certified_cuts(np.full(100, bad), HIGH, Promise())
    assert (found.pass_at, found.block_below) == pytest.approx(expected, abs=0.002)
    assert found.false_block is None


def test_pass_without_a_promise_is_never_under_block():
    found = certified_cuts(LOW, HIGH, Promise(max_false_pass=1, max_false_block=0.05))
    assert found.pass_at == found.block_below == pytest.approx(0.9, abs=0.002)


def test_an_evaluator_that_is_sure_and_wrong_is_told_so():
    with pytest.raises(CertificationError, match="100 of 100 bad rows get PASS even at the strict"):
        certified_cuts(np.ones(100), HIGH, Promise())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max_false_pass": 0}, "^max_false_pass 0: "),
        ({"max_false_pass": 1.5}, "^max_false_pass 1.5: "),
        ({"max_false_pass": 1e-320}, "^max_false_pass "),
        ({"max_false_block": -1}, "^max_false_block -1: "),
        ({"max_false_pass": float("nan")}, "^max_false_pass nan: "),
        ({"confidence": 1}, "^confidence 1: "),
        ({"confidence": 0}, "^confidence 0: "),
        ({"max_false_pass": 1}, "set max_false_pass or max_false_block under 1$"),
    ],
)
def test_promises_that_are_none_are_refused_by_the_name_of_the_field(values, words):
    with pytest.raises(UsageError, match=words):
        Promise(**values)
