"""Counts small data sets whose evaluator is wrongly praised or wrongly warned of.

    python benchmarks/learnt.py FILE... [--rows 64 256 1000] [--seeds 4]

Each FILE has people's labels. From its rows a few are drawn, by whole groups, and split as training
splits them: four fifths to fit, one fifth to validate. All other rows tell how good the result
really is. So that hundreds of runs take minutes, the evaluators are logistic regressions instead of
fine-tuned encoders, of three kinds:

    shuffled      on frozen embeddings, with the labels of the rows to fit shuffled: knows nothing
    embeddings    on frozen embeddings of output and ground truth
    with words    on these and on word overlap both ways

They are calibrated on the validation rows and pass through `measure_learnt`, the rule that training
uses; `tested` runs have as many test rows as validation rows, as with `--test-size`. A run is

    useless           if on the other rows its AUROC is at most 0.6, or below word overlap's by a
                      paired 95 % interval; wrongly praised if the rule calls it learnt
    useful            otherwise; wrongly warned of if the rule doesn't

Prints one JSON object per line: by file and rows, and for all together. Embeddings stay in --cache.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from tipstaff.types import Verdict
from tipstaff_server.evaluator import Prediction
from tipstaff_trainer.data import Row, fingerprint, read_rows, split_rows, without_groups_of
from tipstaff_trainer.encoders.base import DEFAULT_BASE, find_base
from tipstaff_trainer.encoders.frozen import text_embeddings
from tipstaff_trainer.evaluation import intervals
from tipstaff_trainer.evaluation.calibration import fit_platt
from tipstaff_trainer.evaluation.learnt import measure_learnt
from tipstaff_trainer.evaluation.scored import ScoredRows
from tipstaff_trainer.evaluation.word_overlap import word_overlaps

Floats = npt.NDArray[np.float64]
_KINDS = ("shuffled", "embeddings", "with words")
# Enough to draw from; the embeddings of more would take most of the time.
_POOL = 3000
# Rows that tell how good a run really is: at most this many.
_TRUTH = 1500
_VALIDATION = 0.2
_USELESS = 0.6


@dataclass(frozen=True)
class Pool:
    """A file's rows with what the evaluators see of them, in the same order."""

    rows: Sequence[Row]
    embeddings: Floats
    overlaps: Floats

    def features(self, kind: str, places: Sequence[int]) -> Floats:
        """What a kind of evaluator sees of some rows, shape (n, features)."""
        seen = self.embeddings[places]
        # Few features beside many: three times as large, they cost less to use.
        return np.hstack([seen, 3 * self.overlaps[places]]) if kind == "with words" else seen


def main() -> None:
    """Runs all and prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 256, 1000])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--cache", type=Path, default=Path("build/learnt"))
    args = parser.parse_args()
    everything: Counter[str] = Counter()
    for file in args.files:
        pool = _pool(file, args.cache)
        for rows in args.rows:
            if rows > 0.85 * len(pool.rows):
                continue
            counts: Counter[str] = Counter()
            for seed in range(args.seeds):
                for kind in _KINDS:
                    counts.update(_runs(pool, kind, rows, seed))
            everything += counts
            print(json.dumps({"file": str(file), "rows": rows, **counts}), flush=True)
    print(json.dumps({"file": "all", **everything}))


def _runs(pool: Pool, kind: str, rows: int, seed: int) -> Iterator[str]:
    """The names of the counts that one evaluator adds to."""
    place = {id(row): index for index, row in enumerate(pool.rows)}
    rest, few = split_rows(pool.rows, rows / len(pool.rows), seed=seed)
    others = without_groups_of(rest, few)
    fit, validation = split_rows(few, _VALIDATION, seed=seed)
    others, test = split_rows(others, len(validation) / len(others), seed=seed)
    generator = np.random.default_rng(seed)
    others = [others[each] for each in generator.permutation(len(others))[:_TRUTH]]
    good = np.array([row.good for row in fit])
    if kind == "shuffled":
        good = generator.permutation(good)
    if good.all() or not good.any():
        return

    def features(part: Sequence[Row]) -> Floats:
        return pool.features(kind, [place[id(row)] for row in part])

    model = LogisticRegression(C=0.3, max_iter=300).fit(features(fit), good)
    labels = np.array([row.label for row in validation])
    fitted = fit_platt(model.decision_function(features(validation)), labels)

    def score(part: Sequence[Row]) -> ScoredRows:
        scores = expit(fitted.slope * model.decision_function(features(part)) + fitted.intercept)
        nothing = np.zeros(1, np.float32)
        predictions = [
            Prediction(each, Verdict.REVIEW, (), 0.0, nothing) for each in scores.tolist()
        ]
        return ScoredRows.of(part, predictions, [1] * len(part))

    truth = _is_useful(score(others), pool.overlaps[[place[id(row)] for row in others]])
    parts = {"validation": score(validation)}
    for name, more in (("", {}), ("tested ", {"test": score(test)})):
        learnt = measure_learnt(parts | more, fit).verdict
        yield f"{name}{'useful' if truth else 'useless'}"
        if learnt != truth:
            yield f"{name}{'wrongly praised' if learnt else 'wrongly warned'}"


def _is_useful(scored: ScoredRows, overlaps: Floats) -> bool:
    area = intervals.auroc(scored.good, scored.scores, scored.groups)
    assert area is not None
    leads = [
        intervals.auroc_difference(scored.good, column, scored.scores, scored.groups)
        for column in overlaps.T
    ]
    return area.value > _USELESS and all(lead is not None and lead.high >= 0 for lead in leads)


def _pool(file: Path, cache: Path) -> Pool:
    """Some of a file's rows; their embeddings are read back where they were computed before."""
    rows = read_rows(file, label_source="human").rows
    if len(rows) > _POOL:
        _, rows = split_rows(rows, _POOL / len(rows), seed=0)
    # Copies of a row would be one place.
    rows = [replace(row) for row in rows]
    stored = cache / f"{fingerprint(rows)[:16]}.npy"
    if not stored.exists():
        base = find_base(DEFAULT_BASE)
        one, other = (
            text_embeddings(base, [row.interaction.get(name) or "" for row in rows])
            for name in ("output", "ground_truth")
        )
        product = one * other
        cosine = 3 * product.sum(axis=1, keepdims=True)
        cache.mkdir(parents=True, exist_ok=True)
        np.save(stored, np.hstack([np.abs(one - other), product, cosine]), allow_pickle=False)
    metrics = word_overlaps(rows, lambda row: [row.interaction.ground_truth or ""])
    overlaps = np.array([[metric(row) for metric in metrics.values()] for row in rows])
    return Pool(rows, np.load(stored).astype(float), np.nan_to_num(overlaps))


if __name__ == "__main__":
    main()
