"""What a judge's labels are worth, learned from the rows that people reviewed.

A judge errs by habit: it passes long answers that people don't, say. A few hundred reviewed rows
show the habit, and all the other labels can be read by it, where correcting those few rows alone
leaves the rest as wrong as they were. The same idea as gold loss correction (Hendrycks et al. 2018,
"Using trusted data to train deep networks on labels corrupted by severe noise"), whose table of how
often which class is mistaken for which becomes a logistic regression, so that it may differ with
the length of the output and with what a second opinion says.

It learns from rows drawn at random only. Those that a queue ranked first are the judge's worst:
what is learned from them and believed of the rest does harm.
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
# No second opinion is taken to be surer than that.
_SUREST = 0.99
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Relabelled:
    """A judge's rows, read by what people said of some of them.

    Attributes:
        rows: In their order: those that people reviewed with people's labels, the judge's others
            with the probability that people would call them good, all the rest as they were.
        reviewed: How many of the judge's rows people reviewed.
        drawn: How many of these were drawn at random, and learned from.
        overruled: How many of those drawn people took the other side of.
        loss_by_verdict: Of people's labels, by the judge's label alone: log loss in nats, each
            drawn row by a model that was fitted to others.
        loss: The same, by all that the labels are read by.
        note: What a person should know of the second opinion; empty where there is nothing.
    """

    rows: list[Row]
    reviewed: int
    drawn: int
    overruled: int
    loss_by_verdict: float
    loss: float
    note: str = ""

    @property
    def worth(self) -> str:
        """How well people's labels are told, for people."""
        return (
            f"log loss of people's labels, by folds: {self.loss:.3f}; by the judge's label alone "
            f"{self.loss_by_verdict:.3f}"
        )

    @property
    def warning(self) -> str:
        """Why the labels had better stay as they are; empty where nothing speaks for it."""
        if self.loss >= self.loss_by_verdict:
            return (
                "what was learned is no better than the judge's labels alone: review more rows, "
                "drawn at random, or train on the labels as they are"
            )
        return ""


def relabel(
    rows: Sequence[Row],
    reviewed: Mapping[str, Row],
    scores: Sequence[float],
    *,
    seed: int = 0,
) -> Relabelled:
    """Reads a judge's labels by what people said of some of its rows.

    Each label of the judge becomes p(people say good | the judge's label, a second opinion, the
    output's length).

    Args:
        rows: With the judge's labels; rows of other sources are left as they are.
        reviewed: Rows by people, by id; their selection says which were drawn at random.
        scores: The second opinion on each of `rows`, probabilities: an evaluator's that was not
            trained on these labels, or out-of-fold probabilities.
        seed: Of the folds.

    Raises:
        DataError: Too few reviewed rows were drawn at random, or nearly all are of one class.
    """
    check_reviewed(rows, reviewed)
    judged = [index for index, row in enumerate(rows) if row.label_source == "judge"]
    known = [index for index in judged if rows[index].id in reviewed]
    drawn = [index for index in known if reviewed[rows[index].id].selection == "random"]
    good = np.array([reviewed[rows[index].id].good for index in drawn], dtype=bool)
    signs = _signs(rows, np.asarray(scores, dtype=float))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)

    def loss(columns: Floats) -> float:
        found = cross_val_predict(_model(), columns, good, cv=folds, method="predict_proba")
        return float(log_loss(good, found[:, 1]))

    read = _model().fit(signs[drawn], good).predict_proba(signs)[:, 1]
    corrected = list(rows)
    for index in judged:
        corrected[index] = replace(rows[index], label=float(read[index]))
    for index in known:
        person = reviewed[rows[index].id]
        corrected[index] = replace(person, group=person.group or rows[index].group)
    return Relabelled(
        rows=corrected,
        reviewed=len(known),
        drawn=len(drawn),
        overruled=int((good != [rows[index].good for index in drawn]).sum()),
        loss_by_verdict=loss(signs[drawn, :1]),
        loss=loss(signs[drawn]),
    )


def relabel_by_others(
    rows: Sequence[Row],
    reviewed: Mapping[str, Row],
    say: Callable[[Sequence[float]], Sequence[float]],
    *,
    seed: int = 0,
) -> Relabelled:
    """`relabel` with what the other rows say as the second opinion, twice.

    They repeat a habit of the judge's that is in all their labels; read by what people said, they
    say better. A third time adds nothing (`benchmarks/LOG.md`).

    Args:
        rows: As for `relabel`.
        reviewed: Likewise.
        say: What the others say of each row, by these labels (`label_errors.OtherRows.say`).
        seed: Of the folds.

    Raises:
        DataError: As `relabel` and `say` do.
    """
    first = relabel(rows, reviewed, say([row.label for row in rows]), seed=seed)
    try:
        again = say([row.label for row in first.rows])
    except DataError as error:
        # Hardly a row of a class is left, as where nearly all are good.
        note = f"the other rows were heard once only: by the labels that came of it, {error}"
        return replace(first, note=note)
    return relabel(rows, reviewed, again, seed=seed)


def check_reviewed(rows: Sequence[Row], reviewed: Mapping[str, Row]) -> None:
    """Checks, before a second opinion is had at some cost, that there is enough to learn from.

    Raises:
        DataError: As `relabel` does.
    """
    judged = [row.id for row in rows if row.label_source == "judge"]
    if not judged:
        raise DataError(
            "no row has a judge's label: say --label-source judge, or see the column label_source"
        )
    known = [reviewed[name] for name in judged if name in reviewed]
    good = [row.good for row in known if row.selection == "random"]
    if len(good) < FEWEST_DRAWN:
        raise DataError(
            f"of the judge's rows people reviewed {len(known)} (by id), and {len(good)} of these "
            "were drawn at random (by selection): that is too few to learn from. Review at least "
            f"{FEWEST_DRAWN}, better 200, as with tipstaff review-queue --random-share 1"
        )
    for name, count in (("good", sum(good)), ("bad", len(good) - sum(good))):
        if count < _FEWEST_OF_A_CLASS:
            raise DataError(
                f"people call {count} of the {len(good)} rows drawn at random {name}, too few to "
                "learn from: review more"
            )


def _model() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _signs(rows: Sequence[Row], scores: Floats) -> Floats:
    """What a label is read by, the judge's label first; shape (n, 5).

    The others once for all rows and once for those that the judge passes, as its habits differ by
    its verdict.
    """
    judge = np.array([row.label for row in rows], dtype=float)
    sure = np.clip(np.where(np.isnan(scores), 0.5, scores), 1 - _SUREST, _SUREST)
    opinion = np.log(sure / (1 - sure))
    length = np.log1p([len((row.interaction.output or "").split()) for row in rows])
    return np.column_stack([judge, opinion, length, judge * opinion, judge * length])
