from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from judge_rows import row
from sklearn.metrics import log_loss

from tipstaff_trainer.errors import DataError
from tipstaff_trainer.label_quality.label_errors import out_of_fold
from tipstaff_trainer.label_quality.relabelling import relabel_by_other_rows, relabel_rows


def world(count, *, seed=0):
    """Rows with people's labels, and with those of a judge that passes most long bad answers."""
    generator = random.Random(seed)
    people, judged, scores = [], [], []
    for index in range(count):
        good, long = generator.random() < 0.6, generator.random() < 0.5
        says = True if long and generator.random() < 0.8 else good
        text = "word " * (40 if long else 4) + str(index)
        people.append(
            row(text, id=str(index), label=float(good), label_source="human", selection="random")
        )
        judged.append(row(text, id=str(index), label=float(says), label_source="judge", group="g"))
        # Correct in four of five rows, independently of the judge.
        knows = good if generator.random() < 0.8 else not good
        scores.append(0.8 if knows else 0.2)
    return people, judged, scores


def reviewed(people, count):
    return {each.id: each for each in people[:count]}


@pytest.fixture(scope="module")
def found():
    people, judged, scores = world(1000)
    return people, judged, relabel_rows(judged, reviewed(people, 200), scores)


def test_the_judges_habit_is_read_out_of_its_other_labels(found):
    people, judged, done = found
    rest = range(200, 1000)

    def loss(rows):
        return np.mean([(rows[index].label - people[index].label) ** 2 for index in rest])

    assert loss(done.rows) < 0.8 * loss(judged)
    passed = [index for index in rest if judged[index].good]
    long = [len(judged[index].interaction.output.split()) > 20 for index in passed]
    believed = np.array([done.rows[index].label for index in passed])
    assert believed[long].mean() < believed[np.invert(long)].mean() - 0.15
    assert {done.rows[index].label_source for index in rest} == {"judge"}


def test_the_promise_is_kept_in_numbers(found):
    people, judged, done = found
    assert (done.reviewed, done.drawn) == (200, 200)
    wrong = sum(judged[index].good != people[index].good for index in range(200))
    assert done.overruled == wrong
    assert done.loss < done.loss_by_verdict


def test_people_stand_and_groups_and_other_rows_stay(found):
    people, _, done = found
    assert [each.label for each in done.rows[:200]] == [each.label for each in people[:200]]
    assert {each.label_source for each in done.rows[:200]} == {"human"}
    assert {each.group for each in done.rows} == {"g"}
    rows = [row("else", id="x", label=0.25, label_source="other")]
    _, judged, scores = world(300)
    more = relabel_rows([*judged, *rows], reviewed(people, 100), [*scores, 0.1])
    assert more.rows[-1] == rows[0]


def test_only_rows_drawn_at_random_are_learned_from():
    people, judged, scores = world(300)
    drawn = reviewed(people, 100)
    # The judge's errors, as a queue finds them: from these alone, it would seem always wrong.
    worst = {
        each.id: replace(each, selection="disputed")
        for each, own in zip(people, judged, strict=True)
        if each.good != own.good and each.id not in drawn
    }
    alone, both = (relabel_rows(judged, some, scores) for some in (drawn, drawn | worst))
    assert both.reviewed == 100 + len(worst) > both.drawn == 100
    same = [index for index in range(300) if judged[index].id not in drawn | worst]
    assert [both.rows[i].label for i in same] == [alone.rows[i].label for i in same]
    with pytest.raises(DataError, match=r"and 0 of these were drawn at random.*random_share is 1"):
        relabel_rows(judged, worst, scores)


def test_too_few_of_a_class_are_refused():
    people, judged, scores = world(100)
    good = {each.id: replace(each, label=1.0) for each in people}
    with pytest.raises(DataError, match="0 of the 100 rows drawn at random bad"):
        relabel_rows(judged, good, scores)


def test_no_second_opinion_on_a_row_is_taken_for_none():
    people, judged, scores = world(300)
    scores[150] = float("nan")
    done = relabel_rows(judged, reviewed(people, 100), scores)
    assert 0 < done.rows[150].label < 1


def test_what_the_others_say_is_read_by_people_too():
    """The judge's habits also show in the other rows' predictions, which are learned from it."""
    people, judged, _ = world(1000)
    judged = [replace(each, group=each.id) for each in judged]
    generator = np.random.default_rng(0)
    good = np.array([each.good for each in people])
    long = [len(each.interaction.output.split()) > 20 for each in people]
    # One feature is a noisy copy of the label; the other is the length, the judge's habit.
    matrix = np.column_stack([good + generator.normal(0, 0.7, 1000), long])

    def say(labels):
        rows = [replace(row, label=label) for row, label in zip(judged, labels, strict=True)]
        return out_of_fold(matrix, rows, folds=5, seed=0)

    some = reviewed(people, 200)
    once = relabel_rows(judged, some, say([row.label for row in judged]))
    twice = relabel_by_other_rows(judged, some, say)

    def loss(found):
        return log_loss(good[200:], [row.label for row in found.rows[200:]])

    assert loss(twice) < loss(once)
    assert [row.label_source for row in twice.rows] == ["human"] * 200 + ["judge"] * 800


def test_others_who_are_all_of_one_class_are_heard_once():
    people, judged, scores = world(400)
    calls = []

    def say(labels):
        calls.append(labels)
        if len(calls) > 1:
            raise DataError("bad rows are in 1 group, too few for 5 folds")
        return scores

    some = reviewed(people, 200)
    found = relabel_by_other_rows(judged, some, say)
    assert replace(found, note="") == relabel_rows(judged, some, scores)
    assert "used once only: with the corrected labels, bad rows are in 1" in found.note
    assert len(calls) == 2
