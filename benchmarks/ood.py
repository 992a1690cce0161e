"""Measures whether a bundle detects interactions that look unlike its training data.

    python benchmarks/ood.py BUNDLE KNOWN OTHER [OTHER ...]

KNOWN is a file of new interactions like those that BUNDLE was trained on; each OTHER has
interactions of another kind. Prints one JSON object per file: the share of its interactions that
are flagged, and how well out-of-distribution scores separate it from KNOWN (AUROC), with both
distances, the embedding's alone and the lengths' alone. The last line has the time to compute one
such score on one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.ood import THRESHOLD, OodMeter, log_lengths
from tipstaff_trainer.data import read_rows
from tipstaff_trainer.evaluation.predict import predict_all

Scores = npt.NDArray[np.float64]
_REPEATS = 2000


def main() -> None:
    """Scores every file, compares it with the known one and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("known", type=Path)
    parser.add_argument("others", type=Path, nargs="+", metavar="other")
    args = parser.parse_args()

    evaluator = Evaluator.load(args.bundle)
    ood = evaluator.graph.ood
    if ood is None:
        parser.error(f"{args.bundle} has no out-of-distribution score: train it with this version")
    meter = OodMeter.load(Bundle.open(args.bundle).read(ood.file))

    def scores(file: Path) -> dict[str, Scores]:
        interactions = [row.interaction for row in read_rows(file, labelled=False).rows]
        predictions = predict_all(evaluator, interactions)
        lengths = [log_lengths(evaluator.encode(one).lengths) for one in interactions]
        return {
            "auroc": np.array([prediction.ood_score for prediction in predictions], dtype=float),
            "auroc_embedding": np.array(
                [meter.embeddings.of(one.embedding) for one in predictions]
            ),
            "auroc_lengths": np.array([meter.length_distance(one) for one in lengths]),
        }

    known = scores(args.known)
    print(json.dumps({"file": str(args.known), **_flagged(known)}))
    for file in args.others:
        other = scores(file)
        is_other = np.repeat([0, 1], [len(known["auroc"]), len(other["auroc"])])
        aurocs = {
            name: round(float(roc_auc_score(is_other, [*known[name], *other[name]])), 4)
            for name in known
        }
        print(json.dumps({"file": str(file), **_flagged(other), **aurocs}), flush=True)

    interaction = read_rows(args.known, labelled=False).rows[0].interaction
    prediction, lengths = evaluator.score(interaction), evaluator.encode(interaction).lengths
    seconds = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        meter.score(prediction.embedding, lengths)
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"microseconds": round(float(np.median(seconds)) * 1e6, 1)}))


def _flagged(scores: dict[str, Scores]) -> dict[str, float]:
    ood_scores = scores["auroc"]
    return {"n": len(ood_scores), "flagged": round(float((ood_scores > THRESHOLD).mean()), 4)}


if __name__ == "__main__":
    main()
