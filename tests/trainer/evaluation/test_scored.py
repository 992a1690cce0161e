from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_bundle import make_bundle

from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.evaluation.comparison import compare
from tipstaff_trainer.evaluation.contents import measure_evaluator
from tipstaff_trainer.evaluation.scored import ScoredRows
from tipstaff_trainer.evaluation.slices import measure


def copied(scored, times=4):
    """Several copies of the rows, each with its own ids and groups."""
    rows = [
        replace(row, id=f"{row.id} {copy}", group=f"{row.group} {copy}")
        for copy in range(times)
        for row in scored.rows
    ]
    return ScoredRows.of(rows, [*scored.predictions] * times, [*scored.tokens] * times)


def test_copies_under_other_names_are_no_further_evidence(many):
    once, often = measure(many), measure(copied(many))
    assert often.n == 4 * once.n
    for name in ("accuracy", "false_pass", "false_block"):
        first, second = getattr(once, name), getattr(often, name)
        assert second.high - second.low > 0.9 * (first.high - first.low), name
    # The bootstrap draws the same groups.
    assert often.auroc.low == pytest.approx(once.auroc.low)
    assert often.auroc.high == pytest.approx(once.auroc.high)


def test_copies_change_no_comparison(many, make_scored, tmp_path):
    evaluator = Evaluator.load(make_bundle(tmp_path / "b"))
    worse = np.where(np.arange(200) % 20 == 0, 1 - many.scores, many.scores)
    groups = np.arange(200) // 2
    other = make_scored(many.labels, worse, groups=groups, system=["one", "two"] * 100)

    def found(*scored):
        sides = tuple(measure_evaluator(evaluator, rows, bundle="b") for rows in scored)
        return compare(sides, scored, data="rows.jsonl")

    once, often = found(many, other), found(copied(many), copied(other))
    assert 0 < once.p < 1
    assert often.p == pytest.approx(once.p)


def test_a_part_keeps_the_groups_of_all(make_scored):
    # The row that unites two groups is not in the part.
    scored = make_scored([1, 0, 1, 0], [0.9, 0.2, 0.8, 0.1], groups=["a", "a", "b", "b"])
    same = replace(scored.rows[2], interaction=scored.rows[1].interaction)
    others = make_scored([1] * 4, [0.9] * 4, groups="cdef")
    rows = [scored.rows[0], scored.rows[1], same, scored.rows[3]]
    rows += [
        replace(row, interaction=replace(row.interaction, output=f"other {place}"))
        for place, row in enumerate(others.rows)
    ]
    whole = ScoredRows.of(rows, [*scored.predictions, *others.predictions], [10] * 8)
    part = whole.where(np.array([True, False, False, True] + [True] * 4))
    assert part.groups[0] == part.groups[1]
    assert len(np.unique(part.groups)) == 5
