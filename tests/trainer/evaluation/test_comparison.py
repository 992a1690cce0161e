from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest
from tiny_bundle import make_bundle

from tipstaff import Verdict
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.cases import Case, Outcome
from tipstaff_trainer.evaluation.comparison import compare, mcnemar
from tipstaff_trainer.evaluation.contents import measure_evaluator
from tipstaff_trainer.evaluation.headline import headline
from tipstaff_trainer.report.comparison_page import write_comparison


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    return Evaluator.load(make_bundle(tmp_path_factory.mktemp("bundles") / "b"))


@pytest.fixture
def comparison(evaluator, make_scored):
    def make(labels, first, second, *, groups=None, **further):
        scored = tuple(make_scored(labels, scores, groups=groups) for scores in (first, second))
        sides = tuple(
            measure_evaluator(evaluator, rows, bundle=name)
            for name, rows in zip(("old", "new"), scored, strict=True)
        )
        return compare(sides, scored, data="rows.jsonl", **further)

    return make


def outcome(name, *, met):
    case = Case(name=name, expect="pass", output="a")
    return Outcome(case, Verdict.PASS if met else Verdict.BLOCK, 0.5)


def p_of(better, worse, groups=None):
    rows = np.arange(better + worse)
    return mcnemar(rows < better, rows >= better, rows if groups is None else np.array(groups))


def test_mcnemars_exact_test():
    # By hand: two-sided binomial tails at one half.
    assert p_of(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)
    assert p_of(9, 1) == p_of(1, 9)
    assert p_of(0, 0) == 1.0
    assert p_of(5, 5) == pytest.approx(1)
    assert p_of(900, 1100) == pytest.approx(binomtest(900, 2000).pvalue)


def test_rows_of_a_group_are_no_independent_evidence_against_an_evaluator():
    # A single group that is worse throughout could by chance have been better throughout.
    assert p_of(0, 8, [0] * 8) == 1.0
    # Enumerates every sign flip of the five groups' balances.
    better, worse = np.array([0, 0, 1, 0, 0, 0, 0, 1]) > 0, np.array([1, 1, 0, 1, 1, 1, 0, 0]) > 0
    groups = np.array([0, 0, 1, 1, 2, 3, 4, 4])
    balances = np.array([-2, 0, -1, -1, 1])
    turned = [abs(np.dot(signs, balances)) for signs in product((1, -1), repeat=5)]
    assert mcnemar(better, worse, groups) == pytest.approx(np.mean(np.array(turned) >= 3))


def test_the_gate_asks_no_more_of_rows_in_groups_than_they_can_tell(comparison):
    # In five groups of four, all rows get worse. As independent rows that is far beyond chance.
    labels = np.ones(40)
    first, second = np.full(40, 0.8), np.where(np.arange(40) < 20, 0.3, 0.8)
    assert comparison(labels, first, second).p < 1e-5
    found = comparison(labels, first, second, groups=np.arange(40) // 4)
    assert found.p == pytest.approx(2 / 2**5)
    assert found.regressions == ()


def test_what_got_better_and_worse_row_by_row(comparison):
    found = comparison([1, 1, 0, 0], [0.9, 0.2, 0.6, 0.1], [0.4, 0.7, 0.2, 0.3])
    assert [(row.id, row.first_verdict, row.second_verdict) for row in found.worse] == [
        ("0", "PASS", "BLOCK")
    ]
    # The largest change first.
    assert [(row.id, row.output) for row in found.better] == [("1", "answer 1"), ("2", "answer 2")]
    assert (found.both_right, found.both_wrong) == (1, 0)
    assert found.verdicts[Verdict.PASS][Verdict.BLOCK] == 2
    assert found.verdicts[Verdict.BLOCK][Verdict.PASS] == 1
    # Agreement 1/4 where 1/2 is expected by chance.
    assert found.kappa == pytest.approx((1 / 4 - 1 / 2) / (1 - 1 / 2))
    assert found.accuracy_difference.value == pytest.approx(0.25)


def test_the_same_evaluator_is_no_regression(comparison):
    random = np.random.default_rng(0)
    labels, scores = random.random(60) < 0.5, random.random(60)
    found = comparison(labels, scores, scores)
    assert (found.p, found.kappa, found.regressions) == (1.0, 1.0, ())
    assert (found.auroc_difference.low, found.auroc_difference.high) == (0, 0)
    assert headline(found).title == "Neither is clearly better"


def test_a_much_worse_one_is_a_regression_and_the_other_way_round_it_is_better(comparison):
    random = np.random.default_rng(0)
    labels = random.random(200) < 0.5
    good = np.clip(labels * 0.6 + random.random(200) * 0.4, 0, 1)
    noise = random.random(200)
    found = comparison(labels, good, noise)
    whys = ("beyond chance", "bad rows, where", "good rows, where", "AUROC is lower by")
    assert all(why in said for why, said in zip(whys, found.regressions, strict=True))
    back = comparison(labels, noise, good)
    assert back.regressions == ()
    assert headline(back).title == "The second is better"


def test_another_cut_of_the_same_scores_is_a_regression_where_more_goes_wrong(
    evaluator, make_scored
):
    labels, scores = [1, 0] * 20, [0.9, 0.3, 0.4, 0.1] * 10
    strict, lax, harsh = (make_scored(labels, scores, cut=cut) for cut in (0.35, 0.2, 0.5))

    def regressions(one, other):
        sides = tuple(measure_evaluator(evaluator, rows, bundle="b") for rows in (one, other))
        return compare(sides, (one, other), data="rows.jsonl").regressions

    assert regressions(strict, lax) == (
        "passes 10 of 20 bad rows, where the first passes 0 (p = 0.002)",
    )
    assert regressions(strict, harsh) == (
        "blocks 10 of 20 good rows, where the first blocks 0 (p = 0.002)",
    )
    assert regressions(lax, strict) == regressions(harsh, strict) == ()


def test_the_headline_is_what_got_worse_even_where_it_may_be_chance(evaluator, make_scored):
    labels, scores = [1, 0] * 20, [0.9, 0.3, 0.45, *[0.1, 0.9] * 18, 0.1]

    def found(one, other):
        rows = [make_scored(labels, scores, cut=cut) for cut in (one, other)]
        sides = tuple(measure_evaluator(evaluator, each, bundle="b") for each in rows)
        return headline(compare(sides, tuple(rows), data="rows.jsonl"))

    assert str(found(0.4, 0.2)) == (
        "More bad rows pass. Of 20 bad rows 1 now pass and 0 no longer, which may be chance."
    )
    assert str(found(0.4, 0.5)) == (
        "More good rows are blocked. Of 20 good rows 1 now are blocked and 0 no longer, which may "
        "be chance."
    )
    assert found(0.2, 0.4).title == "Neither is clearly better"
    assert not found(0.4, 0.4).worse


def test_rows_that_another_cut_lets_through_or_stops_are_listed(evaluator, make_scored, tmp_path):
    labels, scores = [1, 0, 1, 0] * 10, [0.9, 0.3, 0.4, 0.1] * 10
    one, other = make_scored(labels, scores, cut=0.35), make_scored(labels, scores, cut=0.2)

    def compared(first, second):
        sides = tuple(measure_evaluator(evaluator, rows, bundle="b") for rows in (first, second))
        return compare(sides, (first, second), data="rows.jsonl")

    def ids(rows):
        return [row.id for row in rows]

    laxer = compared(one, other)
    assert laxer.worse == laxer.better == ()
    listed = [str(place) for place in range(1, 40, 4)]
    rows = laxer.changed_verdicts
    assert ids(rows.bad_now_pass) == listed
    assert rows.bad_no_longer_pass == rows.good_now_blocked == rows.good_no_longer_blocked == ()
    stricter = compared(other, one).changed_verdicts
    assert ids(stricter.bad_no_longer_pass) == listed
    assert stricter.bad_now_pass == ()
    harsh = make_scored(labels, scores, cut=0.5)
    good = [str(place) for place in range(2, 40, 4)]
    assert ids(compared(one, harsh).changed_verdicts.good_now_blocked) == good
    assert ids(compared(harsh, one).changed_verdicts.good_no_longer_blocked) == good

    page = write_comparison(laxer, tmp_path / "out").read_text()
    assert "Bad rows that now pass: 10</h3>" in page
    assert "<dd>answer 37</dd>" in page
    data = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert data["changed_verdicts"]["bad_now_pass"][0]["output"] == "answer 1"


def test_changed_verdicts_start_with_the_largest_change(comparison):
    found = comparison([0, 0, 1, 1], [0.4, 0.4, 0.6, 0.6], [0.6, 0.9, 0.4, 0.1]).changed_verdicts
    assert [row.id for row in found.bad_now_pass] == ["1", "0"]
    assert [row.id for row in found.good_now_blocked] == ["3", "2"]


def test_a_little_worse_is_chance(comparison):
    labels = np.arange(40) % 2
    first = np.where(labels, 0.8, 0.2)
    second = first.copy()
    second[0] = 0.8
    assert comparison(labels, first, second).regressions == ()


def test_a_lost_case_is_a_regression_whatever_the_rows_say(comparison):
    labels, scores = [1, 0] * 5, [0.8, 0.2] * 5
    found = comparison(
        labels,
        scores,
        scores,
        cases=(
            [outcome("kept", met=True), outcome("lost", met=True), outcome("won", met=False)],
            [outcome("kept", met=True), outcome("lost", met=False), outcome("won", met=True)],
        ),
    )
    assert found.regressions == ('1 named case lost: "lost"',)
    assert [case.second.case.name for case in found.won] == ["won"]


def test_both_files_say_the_same(comparison, tmp_path):
    found = comparison(
        [1, 0] * 20,
        [0.8, 0.2] * 20,
        [0.3, 0.7] * 20,
        cases=([outcome("<i>lost</i>", met=True)], [outcome("<i>lost</i>", met=False)]),
    )
    page = write_comparison(found, tmp_path / "out").read_text()
    data = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert len(data["worse"]) == 40
    assert "And 15 more in" in page
    assert "Bad rows that now pass: 20</h3>" in page
    assert "answer 3" in page
    assert "A regression." in page
    assert "&lt;i&gt;lost" in page
    assert "https://" not in page
