"""Baselines that label the example data without comparing its fields.

    python examples/baselines.py [DIR]

Every baseline is fitted on the train split of DIR and scored on its test split. None should score
well; an evaluator that does has learned to compare the three fields.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Row = dict[str, Any]

FIELDS = ("input", "output", "ground_truth")

_WORD = re.compile(r"\w+")
# Spelled-out numbers count too, else "two weeks" would hide from the number features.
_NUMBER_WORDS = frozenset(
    _WORD.findall(
        "one two three four five six seven eight nine ten twelve fifteen twenty thirty hundred "
        "half quarter fifth decade"
    )
)


def read(path: Path) -> list[Row]:
    """Reads JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def output_text(row: Row) -> str:
    """The output alone."""
    return str(row["output"])


def all_text(row: Row) -> str:
    """The three fields as one text."""
    return " ".join(row[field] for field in FIELDS)


def lengths(row: Row) -> list[float]:
    """Characters and words of each field, and the output's share of the others' words."""
    words = {field: len(_words(row[field])) for field in FIELDS}
    return [
        *(float(len(row[field])) for field in FIELDS),
        *(float(count) for count in words.values()),
        words["output"] / words["ground_truth"],
        words["output"] / words["input"],
    ]


def overlap(row: Row) -> list[float]:
    """Words, word pairs and numbers that the output shares with the ground truth and the input."""
    output = _words(row["output"])
    features: list[float] = []
    for other in (_words(row["ground_truth"]), _words(row["input"])):
        features += _shares(output, other)
        features += _shares(_pairs(output), _pairs(other))
        features += _shares(_numbers(output), _numbers(other))
    return features


def overlap_and_lengths(row: Row) -> list[float]:
    """Both kinds of features."""
    return [*overlap(row), *lengths(row)]


def bag_of_words() -> Any:
    """Logistic regression on which words and pairs of words occur."""
    return make_pipeline(
        CountVectorizer(ngram_range=(1, 2), min_df=2, binary=True),
        LogisticRegression(C=0.3, max_iter=1000),
    )


def linear() -> Any:
    """Logistic regression on scaled features."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def boosted() -> Any:
    """Gradient-boosted trees."""
    return GradientBoostingClassifier(subsample=0.5, random_state=0)


BASELINES: dict[str, tuple[Callable[[], Any], Callable[[Row], Any]]] = {
    "bag of words, output": (bag_of_words, output_text),
    "bag of words, all fields": (bag_of_words, all_text),
    "lengths, boosted": (boosted, lengths),
    "overlap, linear": (linear, overlap),
    "overlap, boosted": (boosted, overlap),
    "overlap and lengths, boosted": (boosted, overlap_and_lengths),
}


def measure(train: Sequence[Row], test: Sequence[Row]) -> dict[str, float]:
    """Fits every baseline on `train`.

    Returns:
        AUROC on `test`, in [0, 1], by the baseline's name.
    """
    results = {}
    for name, (make_model, features_of) in BASELINES.items():
        model = make_model().fit(_matrix(train, features_of), [row["label"] for row in train])
        scores = model.predict_proba(_matrix(test, features_of))[:, 1]
        results[name] = float(roc_auc_score([row["label"] for row in test], scores))
    return results


def main() -> None:
    """Prints a table, then one JSON line."""
    parser = argparse.ArgumentParser(description="Measure the baselines on the example data.")
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path(__file__).parent / "support",
        metavar="DIR",
        help="holds train.jsonl and test.jsonl",
    )
    folder = parser.parse_args().folder
    results = measure(read(folder / "train.jsonl"), read(folder / "test.jsonl"))
    print(f"{'baseline':30} AUROC")
    for name, auroc in results.items():
        print(f"{name:30} {auroc:.3f}")
    print(json.dumps({"auroc": {name: round(auroc, 4) for name, auroc in results.items()}}))


def _matrix(rows: Sequence[Row], features_of: Callable[[Row], Any]) -> Any:
    features = [features_of(row) for row in rows]
    return features if isinstance(features[0], str) else np.array(features)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    return list(pairwise(words))


def _numbers(words: Sequence[str]) -> list[str]:
    return [word for word in words if word[0].isdigit() or word in _NUMBER_WORDS]


def _shares(items: Collection[object], others: Collection[object]) -> list[float]:
    """Returns the number of shared items, the Jaccard index, and the shared part of each side."""
    one, other = set(items), set(others)
    shared = len(one & other)
    return [
        float(shared),
        shared / max(1, len(one | other)),
        shared / max(1, len(one)),
        shared / max(1, len(other)),
    ]


if __name__ == "__main__":
    main()
