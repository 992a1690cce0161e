from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_training import tiny_base, tiny_rows

from tipstaff.types import FIELDS
from tipstaff_trainer.distil.settings import TrainSettings

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import experiments
from experiments import Experiment


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Experiment:
    base = tiny_base("bert", tmp_path_factory.mktemp("bases") / "bert")
    settings = TrainSettings(base=str(base), epochs=2, learning_rate=1e-3, validation_size=0.3)
    return Experiment(tiny_rows(60), tiny_rows(20), FIELDS, settings)


def test_what_was_measured_is_read_back(experiment, tmp_path, monkeypatch):
    first = experiments.run(experiment, tmp_path)
    monkeypatch.setattr(experiments, "train", None)
    again = experiments.run(experiment, tmp_path)
    assert np.array_equal(first.scores, again.scores)
    assert first.metrics == again.metrics
    assert first.cut == again.cut
    assert [file.name for file in tmp_path.iterdir()] == [f"{experiment.key}.json"]


def test_other_rows_fields_and_settings_are_other_experiments(experiment):
    others = [
        replace(experiment, train=experiment.train[1:]),
        replace(experiment, test=experiment.test[1:]),
        replace(experiment, fields=FIELDS[:2]),
        replace(experiment, settings=experiment.settings.model_copy(update={"seed": 1})),
    ]
    assert len({experiment.key, *(other.key for other in others)}) == 5
