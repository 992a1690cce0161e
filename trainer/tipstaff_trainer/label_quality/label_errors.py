"""Labels that are likely wrong, because the other rows contradict them.

Confident learning (Northcutt, Jiang & Chuang 2021, "Confident learning: estimating uncertainty in
dataset labels"): a classifier that was fitted without a row and its group gives the row a
probability. The label is a likely error if that probability favours the other class at least as
much as it does on average for rows of that class. The library cleanlab does the same under the
AGPL, which this project can't depend on.

The classifier is a logistic regression on a frozen encoder's embeddings and on the words that the
texts share: it takes seconds, where k trainings would take minutes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from tipstaff.types import FIELDS, Field, Interaction
from tipstaff_server.evaluator.marks import STOP_WORDS, shared_words, words_of
from tipstaff_trainer.data import Row, check_trainable, united_groups
from tipstaff_trainer.encoders.base import DEFAULT_BASE, Base, find_base
from tipstaff_trainer.encoders.frozen import text_embeddings
from tipstaff_trainer.errors import DataError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# Half the memory for thousands of columns a row; probabilities differ by less than 1e-4.
Features = npt.NDArray[np.float32]
# Scales both kinds of features alike, so that neither dominates; chosen on flipped labels.
_BLOCK_SCALE = 10**0.5
_REGULARISATION = 0.1
_PAIRS: tuple[tuple[Field, Field], ...] = (
    ("output", "ground_truth"),
    ("output", "input"),
    ("ground_truth", "input"),
)


@dataclass(frozen=True, slots=True)
class Suspect:
    """One row, and how far the other rows support its label.

    Attributes:
        row: The row.
        probability: The probability that its output is good, by a classifier that was fitted
            without its group.
        self_confidence: The probability of the label's class, in [0, 1]; confident learning's term.
        likely: Whether the label is a likely error.
    """

    row: Row
    probability: float
    self_confidence: float
    likely: bool


def find_label_errors(rows: Sequence[Row], base: Base, *, folds: int = 5) -> list[Suspect]:
    """Sorts all rows, beginning with the labels that the other rows contradict most.

    Args:
        rows: Labelled, with groups.
        base: The encoder that reads the texts.
        folds: How many classifiers to fit, each without one part of the rows.

    Raises:
        DataError: The rows can't be trained on, or a class is in fewer groups than there are folds.
    """
    probabilities = np.array(OtherRows(rows, base, folds=folds).probabilities())
    labels = np.array([row.label for row in rows], dtype=float)
    likely = likely_errors(labels, probabilities)
    confidences = self_confidence(labels, probabilities)
    suspects = map(Suspect, rows, probabilities.tolist(), confidences.tolist(), likely.tolist())
    return sorted(suspects, key=lambda suspect: suspect.self_confidence)


class OtherRows:
    """The probability that each row is good, learned from the other rows.

    Args:
        rows: Labelled, with groups.
        base: The encoder that reads the texts, once; the default one when None.
        folds: How many classifiers to fit, each without one part of the rows.
        seed: Seeds the folds.

    Raises:
        DataError: The rows can't be trained on, or a class is in fewer groups than there are folds.
    """

    def __init__(
        self, rows: Sequence[Row], base: Base | None = None, *, folds: int = 5, seed: int = 0
    ) -> None:
        check_trainable(rows)
        # Check before the texts are read, which takes a while.
        _check_folds(rows, folds)
        base = base or find_base(DEFAULT_BASE)
        self._rows = rows
        self._features = features([row.interaction for row in rows], base)
        self._folds = folds
        self._seed = seed

    def probabilities(self, labels: Sequence[float] | None = None) -> list[float]:
        """The out-of-fold probability of each row.

        Args:
            labels: One for each row, to use in place of its own.

        Raises:
            DataError: With these labels, a class is in fewer groups than there are folds.
        """
        rows = self._rows
        if labels is not None:
            rows = [replace(row, label=label) for row, label in zip(rows, labels, strict=True)]
        values = out_of_fold(self._features, rows, folds=self._folds, seed=self._seed)
        probabilities: list[float] = values.tolist()
        return probabilities


def out_of_fold_scores(rows: Sequence[Row]) -> list[float]:
    """The out-of-fold probability of each row, with the default encoder; see `OtherRows`."""
    return OtherRows(rows).probabilities()


def out_of_fold(matrix: Features, rows: Sequence[Row], *, folds: int, seed: int) -> Floats:
    """The probability that each row is good, by a classifier that was fitted without its group.

    A label between 0 and 1 counts for both classes, each with its share.

    Args:
        matrix: Features, shape (n, d).
        rows: Labelled, with groups.
        folds: At least 2.
        seed: Seeds the folds.

    Returns:
        Shape (n,).

    Raises:
        DataError: A class is in fewer groups than there are folds.
    """
    _check_folds(rows, folds)
    labels, groups = np.array([row.label for row in rows]), np.array(united_groups(rows))
    good = np.array([row.good for row in rows])
    probabilities = np.empty(len(rows))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for rest, part in splitter.split(matrix, good, groups):
        places, classes, weights = _as_classes(labels[rest])
        model = LogisticRegression(C=_REGULARISATION, max_iter=2000)
        model.fit(matrix[rest[places]], classes, sample_weight=weights)
        probabilities[part] = model.predict_proba(matrix[part])[:, 1]
    return probabilities


def _as_classes(labels: Floats) -> tuple[npt.NDArray[np.intp], Bools, Floats]:
    """Soft labels as weighted classes: indices into `labels`, a class and a weight for each."""
    good, bad = np.flatnonzero(labels > 0), np.flatnonzero(labels < 1)
    return (
        np.concatenate([good, bad]),
        np.repeat([True, False], [len(good), len(bad)]),
        np.concatenate([labels[good], 1 - labels[bad]]),
    )


def _check_folds(rows: Sequence[Row], folds: int) -> None:
    good, groups = np.array([row.good for row in rows]), np.array(united_groups(rows))
    for name, members in (("good", good), ("bad", ~good)):
        if (count := len(np.unique(groups[members]))) < folds:
            group = "group" if count == 1 else "groups"
            raise DataError(
                f"{name} rows are in {count} {group}, too few for {folds} folds",
                remedy="label rows of other groups",
            )


def self_confidence(labels: Floats, probabilities: Floats) -> Floats:
    """The out-of-fold probability of each label's class, in [0, 1], shape (n,).

    Args:
        labels: Probabilities in [0, 1], shape (n,).
        probabilities: The probability that each row is good, shape (n,).
    """
    return labels * probabilities + (1 - labels) * (1 - probabilities)


def likely_errors(labels: Floats, probabilities: Floats) -> Bools:
    """Which labels are likely wrong, shape (n,): the off-diagonal of the confident joint.

    Args:
        labels: Probabilities in [0, 1], shape (n,), with both classes.
        probabilities: The probability that each row is good, shape (n,).
    """
    good = labels >= 0.5
    sure_good = probabilities >= probabilities[good].mean()
    sure_bad = 1 - probabilities >= 1 - probabilities[~good].mean()
    # A weak classifier can be sure of both classes; then the likelier one counts.
    called_good = sure_good & (~sure_bad | (probabilities >= 0.5))
    called_bad = sure_bad & (~sure_good | (probabilities < 0.5))
    return np.asarray((good & called_bad) | (~good & called_good))


def features(interactions: Sequence[Interaction], base: Base) -> Features:
    """The classifier's features of each interaction, shape (n, d).

    The texts' embeddings with their differences and products (Conneau et al. 2017, "Supervised
    learning of universal sentence representations"), lengths, similarities, shared words, and the
    agreement with other outputs for the same input.
    """
    texts = [one.get(name) or "" for name in FIELDS for one in interactions]
    parts = text_embeddings(base, texts).reshape(len(FIELDS), len(interactions), -1)
    embedded = dict(zip(FIELDS, parts, strict=True))
    output, truth, prompt = embedded["output"], embedded["ground_truth"], embedded["input"]
    blocks = [output, truth, prompt, output * truth, output * prompt, np.abs(output - truth)]
    similarities = [(embedded[one] * embedded[other]).sum(1) for one, other in _PAIRS]
    wordings = np.array([_wording(one) for one in interactions])
    plain = np.column_stack([wordings, _echo(interactions), *similarities])
    return np.concatenate([_scaled(np.concatenate(blocks, axis=1)), _scaled(plain)], axis=1)


def _wording(interaction: Interaction) -> list[float]:
    """Lengths, and shares of common words."""
    words = {name: words_of(interaction.get(name) or "") for name in FIELDS}
    values = [float(np.log1p(len(words[name]))) for name in FIELDS]
    distinct = {name: len({word for word, _, _ in words[name]}) for name in FIELDS}
    for one, other in _PAIRS:
        shared = len(shared_words(words[one], words[other]))
        values += [shared / max(1, distinct[name]) for name in (one, other)]
    return values


def _echo(interactions: Sequence[Interaction]) -> Floats:
    """How many words an output shares with other outputs for the same input, shape (n, 2).

    An answer on which several systems or samples agree is more likely right (self-consistency, Wang
    et al. 2023). Means over the other outputs: the share of its words that the other has, and the
    share of the other's words that it has. The input's words and stop words don't count. 0 if there
    is no other output.
    """
    by_input: dict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(interactions):
        if (one.input or "").strip() and one.output is not None:
            by_input[one.input or ""].append(index)
    shares = np.zeros((len(interactions), 2))
    for prompt, members in by_input.items():
        ignored = STOP_WORDS | _distinct(prompt)
        outputs = {each: _distinct(interactions[each].output or "") - ignored for each in members}
        # Sums over all outputs: linear, even with thousands for one input.
        holders = Counter(word for words in outputs.values() for word in words)
        parts: Counter[str] = Counter()
        for words in outputs.values():
            parts.update({word: 1 / len(words) for word in words})
        for index, words in outputs.items():
            if words and len(members) > 1:
                mine = sum(holders[word] - 1 for word in words) / len(words)
                theirs = sum(parts[word] - 1 / len(words) for word in words)
                shares[index] = mine / (len(members) - 1), theirs / (len(members) - 1)
    return shares


def _distinct(text: str) -> frozenset[str]:
    return frozenset(word for word, _, _ in words_of(text))


def _scaled(block: npt.NDArray[np.floating]) -> Features:
    """Standardised columns, scaled so that a block's number of columns doesn't matter."""
    spread = block.std(axis=0)
    scaled = (block - block.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return np.asarray(scaled * _BLOCK_SCALE / block.shape[1] ** 0.5, dtype=np.float32)
