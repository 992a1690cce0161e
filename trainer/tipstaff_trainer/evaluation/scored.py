"""Labelled rows with an evaluator's predictions, as served: every report starts from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tipstaff.types import FIELDS, Interaction, Reason, Verdict
from tipstaff_server.evaluator import Evaluator, Prediction
from tipstaff_trainer.data import Row, united_groups
from tipstaff_trainer.evaluation.base import Bools, Floats, Ints, Part
from tipstaff_trainer.evaluation.predict import predict_all


class RowText(Part):
    """A row with its label and its text; `place` is its position in its file."""

    id: str
    place: str
    label: float
    label_source: str
    input: str | None
    output: str | None
    ground_truth: str | None


@dataclass(frozen=True)
class ScoredRows:
    """Rows and their predictions, in the same order.

    Attributes:
        rows: With labels.
        predictions: The evaluator's, one for each row.
        tokens: Length of each interaction, over all fields and before any cut.
        groups: A number for each row's group, shape (n,). Groups that share an interaction are
            one, as in splits and certificates: copies under other names are no further evidence.
    """

    rows: Sequence[Row]
    predictions: Sequence[Prediction]
    tokens: Sequence[int]
    groups: Ints

    @classmethod
    def score(cls, evaluator: Evaluator, rows: Sequence[Row]) -> ScoredRows:
        """Scores rows through the server's own code, on all the cores this process may use."""
        interactions = [row.interaction for row in rows]
        tokens = [_tokens(evaluator, interaction) for interaction in interactions]
        return cls.of(rows, predict_all(evaluator, interactions), tokens)

    @classmethod
    def of(
        cls, rows: Sequence[Row], predictions: Sequence[Prediction], tokens: Sequence[int]
    ) -> ScoredRows:
        """Adds the groups to rows that are scored already."""
        _, groups = np.unique(united_groups(rows), return_inverse=True)
        return cls(rows, predictions, tokens, groups.astype(np.int64))

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, chosen: Bools) -> ScoredRows:
        """The rows of a mask of shape (n,); they keep their groups."""
        places = np.flatnonzero(chosen).tolist()
        return ScoredRows(
            [self.rows[place] for place in places],
            [self.predictions[place] for place in places],
            [self.tokens[place] for place in places],
            self.groups[chosen],
        )

    @cached_property
    def labels(self) -> Floats:
        """Each row's probability of being good, in [0, 1], shape (n,)."""
        return np.array([row.label for row in self.rows], dtype=float)

    @cached_property
    def good(self) -> Bools:
        """Whether each row's label counts as good, shape (n,)."""
        return np.array([row.good for row in self.rows], dtype=bool)

    @cached_property
    def scores(self) -> Floats:
        """In [0, 1], shape (n,)."""
        return np.array([prediction.score for prediction in self.predictions], dtype=float)

    @cached_property
    def right(self) -> Bools:
        """Whether each decision, at 0.5 of the score, agrees with the label, shape (n,)."""
        right: Bools = (self.scores >= 0.5) == self.good
        return right

    def verdict_is(self, verdict: Verdict) -> Bools:
        """Which rows got a verdict, shape (n,)."""
        return np.array([each.verdict is verdict for each in self.predictions], dtype=bool)

    def wrongly(self, verdict: Verdict) -> Bools:
        """Which bad rows got a PASS, or which good rows a BLOCK, shape (n,)."""
        wrong = self.good if verdict is Verdict.BLOCK else ~self.good
        return self.verdict_is(verdict) & wrong

    def count(self, reason: Reason) -> int:
        """Rows whose score carries a reason."""
        return sum(reason in prediction.reasons for prediction in self.predictions)

    def text(self, place: int) -> dict[str, Any]:
        """The fields of a row's `RowText`."""
        row = self.rows[place]
        return {
            "id": row.id,
            "place": row.place.rpartition(", ")[2],
            "label": row.label,
            "label_source": row.label_source,
            **{name: row.interaction.get(name) for name in FIELDS},
        }


def _tokens(evaluator: Evaluator, interaction: Interaction) -> int:
    return sum(part.total for part in evaluator.encode(interaction).coverage.values())
