"""The parts of `benchmarks/loop.py` that decide what is compared; its trainings take hours."""

from __future__ import annotations

import random

import pytest
from loop import corrected, count_errors, draw, queued, simulated_judge

from tipstaff import Interaction
from tipstaff_trainer.data import Row


@pytest.fixture(scope="module")
def people():
    generator = random.Random(0)
    rows = []
    for index in range(4000):
        words = "word " * generator.choice([3, 40])
        good = float(generator.random() < 0.7)
        texts = Interaction("q", f"{words}{index}", "t")
        rows.append(Row(texts, good, str(index), group=str(index // 5), label_source="human"))
    return rows


def test_groups_are_drawn_whole(people):
    drawn = draw(people, 500, seed=1)
    assert len(drawn) == 500
    assert len({row.group for row in drawn}) == 100
    assert [row.id for row in drawn] != [row.id for row in draw(people, 500, seed=2)]


def test_the_judge_errs_as_said(people):
    judged = simulated_judge(people, seed=0)

    def share(of):
        pairs = [(a, b) for a, b in zip(judged, people, strict=True) if of(b)]
        return sum(a.good != b.good for a, b in pairs) / len(pairs)

    def long(row):
        return len(row.interaction.output.split()) >= 20

    assert share(lambda row: long(row) and not row.good) == pytest.approx(0.6, abs=0.07)
    assert share(lambda row: long(row) and row.good) == pytest.approx(0.03, abs=0.015)
    assert share(lambda row: not long(row)) == pytest.approx(0.03, abs=0.015)
    assert {row.label_source for row in judged} == {"judge"}


def test_what_is_corrected_is_a_persons(people):
    judged = simulated_judge(people, seed=0)
    # An evaluator that is nearly right.
    scores = [0.8 if row.good else 0.2 for row in people]
    chosen = queued(judged, scores, 200, 0.2, seed=0)
    assert len(set(chosen)) == 200
    found = sum(judged[index].good != people[index].good for index in chosen)
    assert found > 160
    rows = corrected(judged, people, chosen)
    assert count_errors(rows, people) == count_errors(judged, people) - found
    assert sum(row.label_source == "human" for row in rows) == 200
