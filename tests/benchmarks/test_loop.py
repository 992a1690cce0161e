"""The parts of `benchmarks/loop.py` that decide what is compared; its trainings take hours."""

from __future__ import annotations

import json
import random
import sys
from itertools import product

import experiments
import loop
import pytest
from loop import corrected, count_errors, draw, queued, simulated_judge
from tiny_training import tiny_base, tiny_rows

from tipstaff import Interaction
from tipstaff.types import FIELDS
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


@pytest.fixture
def evouna(tmp_path):
    """A folder in the benchmark's format, with rows that the tiny encoder can learn from."""
    rows = tiny_rows(360)
    numbers = map(" ".join, product(("one", "two", "three", "four", "five"), repeat=4))
    numbered = list(zip(rows, numbers, strict=False))
    for name, part in (("train", numbered[:300]), ("test", numbered[300:])):
        with (tmp_path / f"{name}.jsonl").open("w") as file:
            for row, number in part:
                # Texts are unique: rows that share one with the test file are left out of training.
                texts = {name: f"{row.interaction.get(name)} {number}" for name in FIELDS}
                record = {"id": row.id, "group": row.group, "label": row.label, **texts}
                file.write(json.dumps(record) + "\n")
    return tmp_path


def test_an_arm_that_is_kept_is_not_trained_again(evouna, monkeypatch, capsys):
    bert = tiny_base("bert", evouna / "bert")
    words = ["loop.py", str(evouna), "--cache", str(evouna / "kept"), "--seeds", "0"]
    words += ["--rows", "250", "--corrected", "100"]
    words += ["--set", f"base={bert}", "--set", "epochs=4", "--set", "learning_rate=0.003"]

    def told(*more):
        monkeypatch.setattr(sys, "argv", [*words, *more])
        loop.main()
        return capsys.readouterr().out

    plan = told("--arms", "none,queue", "--plan")
    assert plan.count("to train, ") == 2
    assert not (evouna / "kept").exists()
    first = told("--arms", "none")
    assert "| 0 | none | " in first
    # Another arm in another session: the first arm is read from the cache and compared with.
    both = told("--arms", "relabel,none")
    assert [line for line in both.splitlines() if line.startswith("| 0 | none")] == [
        line for line in first.splitlines() if line.startswith("| 0 | none")
    ]
    assert "relabel over none" in json.loads(both.splitlines()[-1])
    monkeypatch.setattr(experiments, "train", None)
    assert told("--arms", "none,relabel").splitlines()[-1] == both.splitlines()[-1]
    plan = told("--arms", "none,relabel,queue", "--plan")
    assert plan.count("to train, ") == 1
