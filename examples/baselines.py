"""What can be told about the example data without understanding it.

Every baseline is fitted on the train split and scored on the test split. The example data is built
so that none gets far: an evaluator that does has learned to compare the three fields.

    python examples/baselines.py [DIR]
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

Row = dict[str, str]
Features = Callable[[Row], Sequence[float]]

_WORD = re.compile(r"\w+")
# Spelled-out numbers count as numbers, else "two weeks" would hide from the number features.
_NUMBER_WORDS = frozenset(
    """one two three four five six seven eight nine ten twelve fifteen twenty thirty hundred half
    quarter fifth""".split()
)


def read(path: Path) -> list[Row]:
    """Reads JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def everything(row: Row) -> str:
    """The three fields as one text."""
    return " ".join((row["input"], row["output"], row["ground_truth"]))


def lengths(row: Row) -> list[float]:
    """Characters and words of each field, and their ratios."""
    texts = (row["output"], row["ground_truth"], row["input"])
    characters = [float(len(text)) for text in texts]
    words = [float(len(_words(text))) for text in texts]
    return [*characters, *words, words[0] / words[1], words[0] / words[2]]


def overlap(row: Row) -> list[float]:
    """How many words, word pairs and numbers the output shares with the other two fields."""
    output = _words(row["output"])
    features: list[float] = []
    for other in (_words(row["ground_truth"]), _words(row["input"])):
        features += _compare(set(output), set(other))
        features += _compare(set(zip(output, output[1:], strict=False)), set(zip(other, other[1:], strict=False)))
        features += _compare(_numbers(output), _numbers(other))
    return features


def overlap_and_lengths(row: Row) -> list[float]:
    """Both of the above."""
    return [*overlap(row), *lengths(row)]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _numbers(words: Sequence[str]) -> set[str]:
    return {word for word in words if word[0].isdigit() or word in _NUMBER_WORDS}


def _compare(one: set[object] | set[str], other: set[object] | set[str]) -> list[float]:
    """Shared items: their number, Jaccard index, share of `one`, share of `other`."""
    shared = len(one & other)
    return [
        float(shared),
        shared / max(1, len(one | other)),
        shared / max(1, len(one)),
        shared / max(1, len(other)),
    ]


def bag_of_words() -> Pipeline:
    """Logistic regression over single words and pairs."""
    return make_pipeline(
        CountVectorizer(ngram_range=(1, 2), min_df=2, binary=True),
        LogisticRegression(C=0.3, max_iter=1000),
    )


def linear() -> Pipeline:
    """Logistic regression over scaled features."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def boosted() -> HistGradientBoostingClassifier:
    """Gradient-boosted trees."""
    return HistGradientBoostingClassifier(max_iter=150, learning_rate=0.05, random_state=0)


def measure(train: Sequence[Row], test: Sequence[Row]) -> dict[str, float]:
    """Fits every baseline on `train`.

    Returns:
        AUROC on `test` by the baseline's name, in [0, 1].
    """
    def texts(rows, of): return [of(row) for row in rows]
    def matrix(rows, of): return np.array([of(row) for row in rows])
    plan = {
        "bag of words, output": (bag_of_words(), lambda r: r["output"], texts),
        "bag of words, all fields": (bag_of_words(), everything, texts),
        "lengths": (boosted(), lengths, matrix),
        "overlap, linear": (linear(), overlap, matrix),
        "overlap, boosted": (boosted(), overlap, matrix),
        "overlap and lengths, boosted": (boosted(), overlap_and_lengths, matrix),
    }
    y = [int(r["label"]) for r in train]; yt=[int(r["label"]) for r in test]
    return {n: round(float(roc_auc_score(yt, m.fit(s(train,f), y).predict_proba(s(test,f))[:,1])),4) for n,(m,f,s) in plan.items()}

if __name__ == "__main__":
    import sys
    d=Path(sys.argv[1])
    r=measure(read(d/"train.jsonl"), read(d/"test.jsonl"))
    for k,v in r.items(): print(f"{k:32} {v:.3f}")
