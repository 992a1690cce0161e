"""Facts at any depth of a long ground truth, with an evaluator trained for it."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from tiny_training import tiny_rows, train_bundle

from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.distil.settings import TrainSettings


def among_others(row, sentences, depth, dice):
    """Hides the row's ground truth at `depth` (0 to 1) among that many unrelated sentences."""
    others = [
        f"{dice.choice(['one', 'two', 'three'])} {dice.choice(['runs', 'eats', 'flies'])} "
        f"{dice.choice(['in', 'to', 'of'])} the {dice.choice(['big', 'small'])} animal."
        for _ in range(sentences)
    ]
    place = round(depth * sentences)
    own = f"{row.interaction.ground_truth}."
    text = " ".join([*others[:place], own, *others[place:]])
    return replace(row, interaction=replace(row.interaction, ground_truth=text))


@pytest.fixture(scope="module")
def trained(bert, tmp_path_factory):
    """Trained on short and long rows, with at most a hundred runs per interaction."""
    dice = random.Random(0)
    rows = [
        among_others(row, dice.choice([0, 2, 4, 20]), dice.random(), dice) for row in tiny_rows(300)
    ]
    return train_bundle(
        rows,
        name="colours",
        out=tmp_path_factory.mktemp("long") / "bundle",
        settings=TrainSettings(
            base=str(bert), epochs=6, learning_rate=3e-3, max_length=64, max_runs=200, patience=20
        ),
    ).path


def test_a_wrong_fact_is_found_at_any_depth_of_4000_tokens(trained):
    evaluator = Evaluator.load(trained)
    dice = random.Random(1)
    scores = {}
    for depth in (0.0, 0.5, 1.0):
        rows = [among_others(row, 600, depth, dice) for row in tiny_rows(12)]
        encoded = evaluator.encode(rows[0].interaction)
        assert encoded.coverage["ground_truth"].total > 4000
        assert not encoded.partial
        scores[depth] = np.array([evaluator.score(row.interaction).score for row in rows])
    good = np.array([row.good for row in tiny_rows(12)])
    for values in scores.values():
        assert values[good].min() > 0.5 > values[~good].max()
        np.testing.assert_allclose(values, scores[0.0], atol=0.2)


def test_a_wrong_fact_is_found_anywhere_in_a_long_output(trained):
    """One window of the output is wrong; all others are right."""
    evaluator = Evaluator.load(trained)
    right = "it is red. " * 40
    for place in (0, 60, 110, 220, len(right)):
        said = right[: place - place % 11] + "it is blue. " * 12 + right[place - place % 11 :]
        row = tiny_rows(1)[0]
        asked = replace(row.interaction, output=right, ground_truth="the cat is red")
        assert len(evaluator.encode(asked).runs) > 2
        assert evaluator.score(asked).score > 0.5
        assert evaluator.score(replace(asked, output=said)).score < 0.5


def test_what_was_measured_is_what_is_served(trained):
    """Golden scores and parity use the same windows."""
    evaluator = Evaluator.load(trained)
    evaluator.warm_up()
    assert evaluator.degraded == ""
    assert evaluator.graph.parity.changed <= 0.02
    limits = evaluator.manifest.encoding.windows
    assert limits.max_runs == 200
    assert any(
        len(evaluator.encode(row.interaction).runs) > 1
        for row in [among_others(row, 20, 0.5, random.Random(2)) for row in tiny_rows(1)]
    )
