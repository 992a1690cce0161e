"""Relabelling: a judge's labels, corrected with people's labels of some of its rows.

A judge errs systematically: for example, it passes long answers that people don't. A few hundred
reviewed rows show such errors, and a model of them corrects all the other labels; correcting only
the reviewed rows would leave the rest as they are. The idea is gold loss correction (Hendrycks et
al. 2018, "Using trusted data to train deep networks on labels corrupted by severe noise"). Its
table of class confusions becomes a logistic regression here, so that the correction may depend on
the length of the output and on a second opinion.

It learns only from rows drawn at random. Rows that a queue ranked first are the judge's worst: a
model of those would be wrong about the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import DataError

Floats = npt.NDArray[np.float64]

FEWEST_DRAWN = 50
_FEWEST_OF_A_CLASS = 5
# Caps the confidence of a second opinion.
_SUREST = 0.99
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Relabelled:
    """A judge's rows with corrected labels.

    Attributes:
        rows: All rows in their order: reviewed rows with people's labels, the judge's other rows
            with the probability that people would call them good, rows of other sources unchanged.
        relabelled: How many of the judge's rows have such a probability now.
        changed: How many of these changed from good to bad or back.
        reviewed: How many of the judge's rows people reviewed.
        drawn: How many of the reviewed rows were drawn at random; the model learns from these.
        overruled: How many of the drawn rows people put on the other side.
        loss_by_verdict: Log loss in nats of people's labels, cross-validated, for a model of the
            judge's label alone.
        loss: The same for the full model.
        note: A remark on the second opinion; may be empty.
    """

    rows: list[Row]
    relabelled: int
    changed: int
    reviewed: int
    drawn: int
    overruled: int
    loss_by_verdict: float
    loss: float
    note: str = ""

    @property
    def worth(self) -> str:
        """How well the model predicts people's labels, in words."""
        return (
            f"log loss of people's labels, cross-validated: {self.loss:.3f}; from the judge's "
            f"label alone {self.loss_by_verdict:.3f}"
        )

    @property
    def warning(self) -> str:
        """Why to keep the judge's labels instead; empty if the corrected ones are better."""
        if self.loss >= self.loss_by_verdict:
            return (
                "the corrected labels are no better than the judge's: review more rows, drawn at "
                "random, or train on the labels as they are"
            )
        return ""


def relabel_rows(
    rows: Sequence[Row], reviewed: Mapping[str, Row], scores: Sequence[float], *, seed: int = 0
) -> Relabelled:
    """Corrects a judge's labels with people's labels of some of its rows.

    Each label of the judge becomes p(people say good | the judge's label, a second opinion, the
    output's length).

    Args:
        rows: Rows with the judge's labels; rows of other sources are left unchanged.
        reviewed: Rows labelled by people, by id; `selection` tells which were drawn at random.
        scores: A second opinion on each of `rows`, as probabilities: scores of an evaluator that
            was not trained on these labels, or out-of-fold probabilities.
        seed: Seeds the folds.

    Raises:
        DataError: Too few reviewed rows were drawn at random, or nearly all are of one class.
    """
    check_reviewed(rows, reviewed)
    judged = [index for index, row in enumerate(rows) if row.label_source == "judge"]
    people = {index: reviewed[rows[index].id] for index in judged if rows[index].id in reviewed}
    drawn = [index for index, person in people.items() if person.selection == "random"]
    good = np.array([people[index].good for index in drawn], dtype=bool)
    features = _features(rows, np.asarray(scores, dtype=float))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)

    def loss(columns: Floats) -> float:
        predicted = cross_val_predict(_model(), columns, good, cv=folds, method="predict_proba")
        return float(log_loss(good, predicted[:, 1]))

    probabilities = _model().fit(features[drawn], good).predict_proba(features)[:, 1]
    corrected = list(rows)
    for index, person in people.items():
        corrected[index] = replace(person, group=person.group or rows[index].group)
    others = [index for index in judged if index not in people]
    for index in others:
        corrected[index] = replace(rows[index], label=float(probabilities[index]))
    return Relabelled(
        rows=corrected,
        relabelled=len(others),
        changed=sum(rows[index].good != corrected[index].good for index in others),
        reviewed=len(people),
        drawn=len(drawn),
        overruled=int((good != [rows[index].good for index in drawn]).sum()),
        loss_by_verdict=loss(features[drawn, :1]),
        loss=loss(features[drawn]),
    )


def relabel_by_other_rows(
    rows: Sequence[Row],
    reviewed: Mapping[str, Row],
    probabilities: Callable[[Sequence[float]], Sequence[float]],
    *,
    seed: int = 0,
) -> Relabelled:
    """Relabels with out-of-fold probabilities as the second opinion, in two rounds.

    In the first round the other rows repeat the judge's systematic errors, which are in all their
    labels; the second round uses the corrected labels. A third adds nothing (`benchmarks/LOG.md`).

    Args:
        rows: As for `relabel_rows`.
        reviewed: As for `relabel_rows`.
        probabilities: Gives each row's out-of-fold probability, learned from other labels of the
            rows (`label_errors.OtherRows.probabilities`).
        seed: Seeds the folds.

    Raises:
        DataError: Raised by `relabel_rows` or `probabilities`.
    """
    first = relabel_rows(rows, reviewed, probabilities([row.label for row in rows]), seed=seed)
    try:
        second = probabilities([row.label for row in first.rows])
    except DataError as error:
        # Hardly a row of a class is left, as where nearly all are good.
        note = f"the other rows were used once only: with the corrected labels, {error.message}"
        return replace(first, note=note)
    return relabel_rows(rows, reviewed, second, seed=seed)


def check_reviewed(rows: Sequence[Row], reviewed: Mapping[str, Row]) -> None:
    """Checks that there are enough reviewed rows, before a second opinion takes its time.

    Raises:
        DataError: As for `relabel_rows`.
    """
    judged = [row.id for row in rows if row.label_source == "judge"]
    if not judged:
        raise DataError(
            "no row has a judge's label",
            remedy="set {label_source} to judge, or check the column label_source",
        )
    people = [reviewed[name] for name in judged if name in reviewed]
    good = [row.good for row in people if row.selection == "random"]
    if len(good) < FEWEST_DRAWN:
        raise DataError(
            f"people reviewed {len(people)} of the judge's rows, matched by id, and {len(good)} of "
            "these were drawn at random (column selection): too few to learn from",
            remedy=f"review at least {FEWEST_DRAWN}, better 200, from a review queue whose "
            "{random_share} is 1",
        )
    for name, count in (("good", sum(good)), ("bad", len(good) - sum(good))):
        if count < _FEWEST_OF_A_CLASS:
            raise DataError(
                f"people call {count} of the {len(good)} rows drawn at random {name}, too few to "
                "learn from",
                remedy="review more",
            )


def _model() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _features(rows: Sequence[Row], scores: Floats) -> Floats:
    """The model's features, the judge's label first; shape (n, 5).

    The others come twice, the second time only for rows that the judge passes: its errors differ by
    its verdict.
    """
    judge = np.array([row.label for row in rows], dtype=float)
    capped = np.clip(np.where(np.isnan(scores), 0.5, scores), 1 - _SUREST, _SUREST)
    opinion = np.log(capped / (1 - capped))
    length = np.log1p([len((row.interaction.output or "").split()) for row in rows])
    return np.column_stack([judge, opinion, length, judge * opinion, judge * length])
