"""An encoder that reads 8,192 tokens at once, from a local folder to a served score."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_training import tiny_base, tiny_rows, train_bundle

from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.encoders.base import find_base

SENTENCES = 350


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modernbert")
    base = tiny_base("modernbert", folder / "base")
    assert find_base(str(base)).max_length == 8192
    settings = TrainSettings(
        base=str(base), epochs=1, max_length=8192, output_window=200, ground_truth_window=7900
    )
    return Evaluator.load(train_bundle(tiny_rows(48), folder / "bundle", settings).path)


def test_a_long_ground_truth_is_read_in_one_run(evaluator):
    row = tiny_rows(1)[0].interaction
    filler = "the big dog runs to the small cat. " * SENTENCES
    long = replace(row, ground_truth=filler + "the bird is red.")
    encoded = evaluator.encode(long)
    coverage = encoded.coverage["ground_truth"]
    assert len(encoded.runs) == 1
    assert coverage.total > 4000
    assert coverage.scored == coverage.total
    prediction = evaluator.score(long)
    assert 0 < prediction.score < 1
    # The last words count: the text is read to its end.
    other = evaluator.score(replace(row, ground_truth=filler + "the bird is blue."))
    assert other.logit != prediction.logit
