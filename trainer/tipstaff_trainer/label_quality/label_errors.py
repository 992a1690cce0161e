"""Which labels are likely wrong: those that the other rows contradict.

Confident learning (Northcutt, Jiang & Chuang 2021, "Confident learning: estimating uncertainty in
dataset labels"): each row gets the probability that a classifier gives it which wasn't fitted to it
or to its group, and a label counts as a likely error where that is as sure of the other class as it
is on average of rows that have that class. The library cleanlab does the same under the AGPL, which
this project can't depend on.

The classifier is a logistic regression on what a frozen encoder says of the texts and on the words
that they share: seconds, where k trainings would take minutes, and good enough to be asked.
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
# Half the memory, which thousands of columns a row take; probabilities differ by less than 1e-4.
Features = npt.NDArray[np.float32]
# Of the two kinds of features, so that neither drowns the other; chosen on flipped labels.
_BLOCK_SCALE = 10**0.5
_REGULARISATION = 0.1
_PAIRS: tuple[tuple[Field, Field], ...] = (
    ("output", "ground_truth"),
    ("output", "input"),
    ("ground_truth", "input"),
)


@dataclass(frozen=True, slots=True)
class Suspect:
    """One row as the others see it.

    Attributes:
        row: As given.
        probability: That its output is good, by a classifier that saw nothing of its group.
        agreement: Of that with the label, in [0, 1]; the self-confidence of confident learning.
        likely: Whether the label is a likely error.
    """

    row: Row
    probability: float
    agreement: float
    likely: bool


def label_errors(
    rows: Sequence[Row], base: Base, *, folds: int = 5, seed: int = 0
) -> list[Suspect]:
    """All rows, those whose label the others contradict most first.

    Args:
        rows: Labelled, with groups.
        base: The encoder that reads the texts.
        folds: Classifiers fitted, each without one part of the rows.
        seed: Of the folds.

    Raises:
        DataError: The rows can't be trained on, or a class is in fewer groups than there are folds.
    """
    probabilities = np.array(out_of_fold_scores(rows, base, folds=folds, seed=seed))
    labels = np.array([row.label for row in rows], dtype=float)
    likely, agrees = likely_errors(labels, probabilities), agreement(labels, probabilities)
    return [
        Suspect(rows[index], float(probabilities[index]), float(agrees[index]), bool(likely[index]))
        for index in np.argsort(agrees, kind="stable")
    ]


class OtherRows:
    """What the other rows say of each: the probability that it is good.

    Args:
        rows: Labelled, with groups.
        base: The encoder that reads the texts, once; the default one when None.
        folds: Classifiers fitted, each without one part of the rows.
        seed: Of the folds.

    Raises:
        DataError: The rows can't be trained on, or a class is in fewer groups than there are folds.
    """

    def __init__(
        self, rows: Sequence[Row], base: Base | None = None, *, folds: int = 5, seed: int = 0
    ) -> None:
        check_trainable(rows)
        # Before the texts are read, which takes its time.
        _check_folds(rows, folds)
        self._rows = rows
        self._features = features(
            [row.interaction for row in rows], base or find_base(DEFAULT_BASE)
        )
        self._folds = folds
        self._seed = seed

    def say(self, labels: Sequence[float] | None = None) -> list[float]:
        """Of each, in their order.

        Args:
            labels: One for each row, in place of those that they have.

        Raises:
            DataError: By these labels, a class is in fewer groups than there are folds.
        """
        rows = self._rows
        if labels is not None:
            rows = [replace(row, label=label) for row, label in zip(rows, labels, strict=True)]
        found = out_of_fold(self._features, rows, folds=self._folds, seed=self._seed)
        return [float(probability) for probability in found]


def out_of_fold_scores(
    rows: Sequence[Row], base: Base | None = None, *, folds: int = 5, seed: int = 0
) -> list[float]:
    """What the other rows say of each, by the labels they have; see `OtherRows`."""
    return OtherRows(rows, base, folds=folds, seed=seed).say()


def out_of_fold(matrix: Features, rows: Sequence[Row], *, folds: int, seed: int) -> Floats:
    """For each row the probability that it is good, by a classifier that saw nothing of its group.

    A label between 0 and 1 counts as both, each with its share.

    Args:
        matrix: Features, shape (n, d).
        rows: Labelled, with groups.
        folds: At least 2.
        seed: Of the folds.

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
        rows_of, says, shares = _as_classes(labels[rest])
        model = LogisticRegression(C=_REGULARISATION, max_iter=2000)
        model.fit(matrix[rest[rows_of]], says, sample_weight=shares)
        probabilities[part] = model.predict_proba(matrix[part])[:, 1]
    return probabilities


def _as_classes(labels: Floats) -> tuple[npt.NDArray[np.intp], Bools, Floats]:
    """Labels for what knows classes only: places in them, with a class and a weight for each."""
    says_good, says_bad = np.flatnonzero(labels > 0), np.flatnonzero(labels < 1)
    return (
        np.concatenate([says_good, says_bad]),
        np.repeat([True, False], [len(says_good), len(says_bad)]),
        np.concatenate([labels[says_good], 1 - labels[says_bad]]),
    )


def _check_folds(rows: Sequence[Row], folds: int) -> None:
    good, groups = np.array([row.good for row in rows]), np.array(united_groups(rows))
    for name, has in (("good", good), ("bad", ~good)):
        if (found := len(np.unique(groups[has]))) < folds:
            raise DataError(
                f"{name} rows are in {found} group{'' if found == 1 else 's'}, too few for {folds} "
                "folds: label rows of other groups"
            )


def agreement(labels: Floats, probabilities: Floats) -> Floats:
    """How far labels and out-of-fold probabilities agree, in [0, 1], shape (n,).

    Args:
        labels: Probabilities in [0, 1], shape (n,).
        probabilities: That each row is good, shape (n,).
    """
    return labels * probabilities + (1 - labels) * (1 - probabilities)


def likely_errors(labels: Floats, probabilities: Floats) -> Bools:
    """Which labels are likely wrong, shape (n,): the off-diagonal of the confident joint.

    Args:
        labels: Probabilities in [0, 1], shape (n,), some of each class.
        probabilities: That each row is good, shape (n,).
    """
    good = labels >= 0.5
    sure_good = probabilities >= probabilities[good].mean()
    sure_bad = 1 - probabilities >= 1 - probabilities[~good].mean()
    # Where a classifier that knows little is sure of both, the likelier one counts.
    called_good = sure_good & (~sure_bad | (probabilities >= 0.5))
    called_bad = sure_bad & (~sure_good | (probabilities < 0.5))
    found: Bools = (good & called_bad) | (~good & called_good)
    return found


def features(interactions: Sequence[Interaction], base: Base) -> Features:
    """What the classifier sees of each interaction, shape (n, d).

    The embeddings of the texts with their differences and products (Conneau et al. 2017,
    "Supervised learning of universal sentence representations"), how long they are, how near to
    each other, how many words they share, and how far other outputs say the same.
    """
    texts = [one.get(name) or "" for name in FIELDS for one in interactions]
    parts = text_embeddings(base, texts).reshape(len(FIELDS), len(interactions), -1)
    embedded = dict(zip(FIELDS, parts, strict=True))
    output, truth, given = embedded["output"], embedded["ground_truth"], embedded["input"]
    blocks = [output, truth, given, output * truth, output * given, np.abs(output - truth)]
    near = [(embedded[one] * embedded[other]).sum(1) for one, other in _PAIRS]
    plain = np.column_stack(
        [np.array([_wording(one) for one in interactions]), _echo(interactions), *near]
    )
    return np.concatenate([_scaled(np.concatenate(blocks, axis=1)), _scaled(plain)], axis=1)


def _wording(interaction: Interaction) -> list[float]:
    """Lengths, and shares of the words in common."""
    words = {name: words_of(interaction.get(name) or "") for name in FIELDS}
    found = [float(np.log1p(len(words[name]))) for name in FIELDS]
    for one, other in _PAIRS:
        shared = len(shared_words(words[one], words[other]))
        distinct = [len({word for word, _, _ in words[name]}) for name in (one, other)]
        found += [shared / max(1, count) for count in distinct]
    return found


def _echo(interactions: Sequence[Interaction]) -> Floats:
    """How far an output and the other outputs for the same input share words, shape (n, 2).

    What several systems or samples answer alike is more likely right (self-consistency, Wang et al.
    2023), whoever judged it. Means over the others: the share of its words that the other has, and
    of the other's that it has; the input's words and stop words don't count. 0 where there is no
    other.
    """
    alike: dict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(interactions):
        if (one.input or "").strip() and one.output is not None:
            alike[one.input or ""].append(index)
    found = np.zeros((len(interactions), 2))
    for given, members in alike.items():
        ignored = STOP_WORDS | _distinct(given)
        said = {index: _distinct(interactions[index].output or "") - ignored for index in members}
        # Sums over all outputs, so that thousands for one input take no longer than others.
        holders = Counter(word for words in said.values() for word in words)
        parts: Counter[str] = Counter()
        for words in said.values():
            parts.update({word: 1 / len(words) for word in words})
        for index, words in said.items():
            if words and len(members) > 1:
                mine = sum(holders[word] - 1 for word in words) / len(words)
                theirs = sum(parts[word] - 1 / len(words) for word in words)
                found[index] = mine / (len(members) - 1), theirs / (len(members) - 1)
    return found


def _distinct(text: str) -> frozenset[str]:
    return frozenset(word for word, _, _ in words_of(text))


def _scaled(block: npt.NDArray[np.floating]) -> Features:
    """Columns of mean 0 and like spread, scaled so that the block's size does not count."""
    spread = block.std(axis=0)
    scaled = (block - block.mean(axis=0)) / np.where(spread > 0, spread, 1)
    found: Features = (scaled * _BLOCK_SCALE / block.shape[1] ** 0.5).astype(np.float32)
    return found
