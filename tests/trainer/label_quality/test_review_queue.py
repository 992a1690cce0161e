from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from judge_rows import row

from tipstaff_trainer.label_quality.review_queue import rank_for_review


def judged(*labels, **rest):
    return [
        row(str(index), id=str(index), label=label, label_source="judge", **rest)
        for index, label in enumerate(labels)
    ]


def ids(queue):
    return [each.row.id for each in queue]


def test_by_the_judges_own_uncertainty():
    rows = judged(0.9, 0.45, 0.02, 0.6)
    queue = rank_for_review(rows, count=4, random_share=0, rank_by="uncertainty")
    assert ids(queue) == ["1", "3", "0", "2"]
    assert queue[0].priority == pytest.approx(0.9)
    assert {each.selection for each in queue} == {"uncertain"}


def test_by_likely_error_the_evaluator_is_heard():
    rows = judged(1.0, 1.0, 0.0, 0.0)
    queue = rank_for_review(rows, count=4, random_share=0, scores=[0.9, 0.02, 0.3, 0.8])
    assert ids(queue) == ["1", "3", "2", "0"]
    assert [each.selection for each in queue] == ["disputed", "disputed", "uncertain", "uncertain"]
    assert queue[0].why == "judge good (1.00), evaluator bad (0.02)"


def test_the_evaluator_and_the_other_rows_are_pooled():
    rows = judged(1.0, 1.0, 1.0)
    # Both signals contradict the first label, one contradicts each other label.
    scores, others = [0.2, 0.1, 0.9], [0.2, 0.9, 0.3]
    queue = rank_for_review(rows, count=3, random_share=0, scores=scores, out_of_fold=others)
    assert ids(queue) == ["0", "1", "2"]
    assert queue[0].why == "judge good (1.00), evaluator bad (0.20), other rows bad (0.20)"
    alone = rank_for_review(rows, count=3, random_share=0, out_of_fold=others)
    assert ids(alone) == ["0", "2", "1"]
    assert alone[0].why == "judge good (1.00), other rows bad (0.20)"
    # A signal without a value for a row has no effect there.
    silent = rank_for_review(
        rows, count=3, random_share=0, scores=[math.nan, 0.1, 0.9], out_of_fold=others
    )
    assert silent[0].why == "judge good (1.00), other rows bad (0.20)"
    assert not any(math.isnan(each.priority) for each in silent)


def test_by_disagreement_between_judges():
    rows = judged(0.9, 0.9, 0.1)
    other = {"0": 0.8, "1": 0.1}
    queue = rank_for_review(rows, count=3, random_share=0, rank_by="disagreement", judges=[other])
    assert ids(queue) == ["1", "0", "2"]
    assert queue[0].priority == pytest.approx(0.8)
    assert queue[2].why == "judge bad (0.10)"


def test_the_random_slice_is_uniform_and_spread():
    rows = judged(*[0.5] * 20, *[0.99] * 980)
    queue = rank_for_review(rows, count=100, random_share=0.3)
    assert Counter(each.selection for each in queue)["random"] == 30
    assert len(set(ids(queue))) == 100
    # Any first part of the queue has the same share of random rows.
    assert sum(each.selection == "random" for each in queue[:50]) == 15
    drawn = [int(each.row.id) for each in queue if each.selection == "random"]
    assert sum(index < 20 for index in drawn) < 5
    means = []
    for seed in range(30):
        queue = rank_for_review(rows, count=50, random_share=1, seed=seed)
        means.append(sum(int(each.row.id) for each in queue) / 50)
    assert sum(means) / 30 == pytest.approx(500, abs=30)


def test_rows_by_people_and_rows_without_a_label_are_left_out():
    rows = [
        row("a", id="a", label=0.5, label_source="human"),
        row("b", id="b"),
        *judged(0.5),
    ]
    assert ids(rank_for_review(rows, count=9)) == ["0"]
    assert rank_for_review([], count=9) == []


def test_ties_are_in_no_order_of_the_file():
    rows = judged(*[1.0] * 50)
    first = ids(rank_for_review(rows, count=10, random_share=0))
    assert first != [str(index) for index in range(10)]
    assert first == ids(rank_for_review(rows, count=10, random_share=0))


def test_a_judges_errors_come_first():
    """The judge is wrong in one of five rows, the evaluator in one of ten."""
    generator = random.Random(0)
    rows, scores, wrong = [], [], set()
    for index in range(500):
        good = generator.random() < 0.5
        says = good != (generator.random() < 0.2)
        knows = good != (generator.random() < 0.1)
        rows += judged(float(says))
        rows[-1] = row(str(index), id=str(index), label=float(says), label_source="judge")
        scores.append(generator.uniform(0.7, 1) if knows else generator.uniform(0, 0.3))
        if says != good:
            wrong.add(str(index))
    queue = rank_for_review(rows, count=100, random_share=0, scores=scores)
    assert sum(each.row.id in wrong for each in queue) / 100 > 0.6
    assert not any(math.isnan(each.priority) for each in queue)
