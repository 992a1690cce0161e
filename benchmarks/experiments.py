"""Trains, measures on held-out rows, and caches the result under a hash of all its inputs.

Trainings take minutes to an hour, and a table of them takes days, so finished ones are read back. A
result comes from the int8 bundle in the server's code. It has a score for each row, so that
intervals and paired comparisons need no second run.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import balanced_accuracy_score

from tipstaff.types import Field
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data import Row, fingerprint, split_rows
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.evaluation.base import Metrics
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest, train

Floats = npt.NDArray[np.float64]
# The default base; the number of epochs does not depend on it.
_HIDDEN_SIZE = 384


@dataclass(frozen=True)
class Experiment:
    """A training and its test rows.

    Attributes:
        train: Rows to train on; the validation split is taken from them.
        test: Rows to measure on.
        fields: What the evaluator reads.
        settings: How to train.
    """

    train: Sequence[Row]
    test: Sequence[Row]
    fields: Sequence[Field]
    settings: TrainSettings = field(default_factory=TrainSettings)

    @property
    def key(self) -> str:
        """The first 16 hex digits of a hash of rows, fields and settings, defaults included."""
        parts = [
            fingerprint(self.train),
            fingerprint(self.test),
            list(self.fields),
            self.settings.model_dump(),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @property
    def row_epochs(self) -> float:
        """About how many rows training reads: each counts once per epoch."""
        resolved = self.settings.resolve(rows=len(self.train), hidden_size=_HIDDEN_SIZE)
        return len(self.train) * resolved.epochs


@dataclass(frozen=True)
class Result:
    """The result of an experiment.

    Attributes:
        scores: One for each test row, in order, shape (n,).
        metrics: Metrics of these scores at a threshold of 0.5.
        cut: The threshold with the best balanced accuracy on the validation rows.
        balanced_accuracy_at_cut: Balanced accuracy on the test rows at that threshold.
        seconds: Time of training, export and calibration.
    """

    scores: Floats
    metrics: Metrics
    cut: float
    balanced_accuracy_at_cut: float
    seconds: float


def is_cached(experiment: Experiment, cache: Path) -> bool:
    """Whether the result is cached, so that `run` would train nothing."""
    return _file(experiment, cache).exists()


def seconds_a_row(cache: Path, settings: TrainSettings) -> float | None:
    """Median seconds per row and epoch in cached trainings of this base and size."""
    paces = []
    for file in cache.glob("*.json"):
        record = json.loads(file.read_text(encoding="utf-8"))
        settings_used = record["settings"]
        if (settings_used["base"], settings_used.get("size", "full")) == (
            settings.base,
            settings.size,
        ):
            paces.append(record["seconds"] / (record["train_rows"] * settings_used["epochs"]))
    return float(np.median(paces)) if paces else None


def run(experiment: Experiment, cache: Path) -> Result:
    """Trains and measures, or reads the result from the folder `cache`."""
    file = _file(experiment, cache)
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        record = _measure(experiment, cache)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(record), encoding="utf-8")
        part.replace(file)
    record = json.loads(file.read_text(encoding="utf-8"))
    scores = np.array(record["scores"])
    good = np.array([row.good for row in experiment.test])
    return Result(
        scores=scores,
        metrics=classification_metrics([row.label for row in experiment.test], scores),
        cut=record["cut"],
        balanced_accuracy_at_cut=balanced_accuracy_score(good, scores >= record["cut"]),
        seconds=record["seconds"],
    )


def _file(experiment: Experiment, cache: Path) -> Path:
    return cache / f"{experiment.key}.json"


def _measure(experiment: Experiment, cache: Path) -> dict[str, Any]:
    out = Path(tempfile.mkdtemp(dir=cache, prefix=f"{experiment.key}-"))
    try:
        started = time.monotonic()
        settings = experiment.settings.model_dump()
        request = TrainRequest(name="experiment", golden=0, **settings)
        rows = TrainingRows(experiment.train, experiment.fields)
        bundle = train(request, lambda: rows, out).bundle
        seconds = time.monotonic() - started
        evaluator = Evaluator.load(out)
        settings_used = bundle.manifest.training.settings
        # Repeats the split that training made.
        _, validation = split_rows(
            experiment.train,
            float(str(settings_used["validation_size"])),
            seed=experiment.settings.seed,
        )
        return {
            "settings": settings_used,
            "train_rows": len(experiment.train),
            "seconds": round(seconds, 1),
            "cut": _best_cut(validation, _scores(evaluator, validation)),
            "scores": _scores(evaluator, experiment.test).round(6).tolist(),
        }
    finally:
        shutil.rmtree(out)


def _scores(evaluator: Evaluator, rows: Sequence[Row]) -> Floats:
    return np.array(
        [each.score for each in predict_all(evaluator, [row.interaction for row in rows])]
    )


def _best_cut(rows: Sequence[Row], scores: Floats) -> float:
    good = np.array([row.good for row in rows])
    cuts = np.unique(np.append(scores.round(3), 0.5))
    accuracies = [balanced_accuracy_score(good, scores >= cut) for cut in cuts]
    # The middle of the thresholds that are equally good.
    return float(np.median(cuts[np.isclose(accuracies, np.max(accuracies))]))
