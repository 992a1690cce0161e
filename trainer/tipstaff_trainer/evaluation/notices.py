"""Notices on what limits a measurement: how the rows and the evaluator fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tipstaff.errors import describe
from tipstaff.types import Reason
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import SEEN_FILE, Graph, Manifest
from tipstaff_trainer.data import Row, match_training_rows
from tipstaff_trainer.evaluation.base import Bools
from tipstaff_trainer.evaluation.scored import ScoredRows

FEW_GROUPS = 10


class Notice(NamedTuple):
    """A warning for a `Reporter`; its remedy names fields in braces."""

    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return describe(self.message, remedy=self.remedy)


def doubts(scored: ScoredRows, graph: Graph) -> list[str]:
    """Warnings about what limits the numbers.

    Args:
        scored: At least one row.
        graph: The graph that scored them.
    """
    return list(_doubts(scored, graph))


def _doubts(scored: ScoredRows, graph: Graph) -> Iterator[str]:
    n, good = len(scored), int(scored.good.sum())
    if graph.calibration.method == "none":
        yield (
            "the evaluator's score is not calibrated, since there were too few validation rows of "
            "both classes, so it is no probability: train on more labelled rows"
        )
    if good in (0, n):
        these, others = ("good", "bad") if good else ("bad", "good")
        yield f"all {n} rows are {these}, so nothing here shows the verdicts of {others} ones"
    groups = len(np.unique(scored.groups))
    if groups < min(FEW_GROUPS, n):
        yield (
            f"the {n} rows are in {groups} group{'' if groups == 1 else 's'}, and rows of a group "
            "are not independent, so the ranges are wide"
        )
    for reason, what in (
        (Reason.PARTIAL, "were not read in full: they are longer than the evaluator reads"),
        (Reason.UNREADABLE, "hold more text that the encoder can't read than may pass"),
        (Reason.OUT_OF_DISTRIBUTION, "look unlike the training data"),
        (Reason.NOT_LEARNT, "were scored by an evaluator that has not learnt; see its card"),
        (Reason.DEGRADED, "were scored in a mode other than the measured one"),
    ):
        if count := scored.count(reason):
            yield f"{count} of {n} rows {what}"


def missing_fields(manifest: Manifest, rows: Sequence[Row]) -> Iterator[Notice]:
    """Notices about fields that the evaluator was trained on and rows lack."""
    for name in manifest.fields:
        if count := sum(row.interaction.get(name) is None for row in rows):
            yield Notice(
                f"{count} of {len(rows)} rows lack {name}, which the evaluator was trained on",
                f"where a column holds it under another name, add {{mapping}} {name}=COLUMN",
            )


def training_rows(bundle: Bundle, rows: Sequence[Row]) -> Iterator[Notice]:
    """A notice about rows that the evaluator was trained on, if the bundle knows of any."""
    matches = trained_on(rows, bundle)
    if matches is not None and (count := int(matches.any(axis=1).sum())):
        yield Notice(
            f"{count} of {len(rows)} rows were trained on or belong with rows that were "
            f"({int(matches[:, 0].sum())} have their texts): an evaluator does better on such rows "
            "than on new ones"
        )


def knows_training_rows(bundle: Bundle) -> bool:
    """Whether the bundle has the hashes of the rows that it was trained on."""
    return SEEN_FILE in bundle.manifest.checksums


def trained_on(rows: Sequence[Row], bundle: Bundle) -> Bools | None:
    """Matches rows with those that a bundle was trained on; see `match_training_rows`.

    Returns:
        Shape (n, 3), or None where the bundle doesn't know its training rows.
    """
    if not knows_training_rows(bundle):
        return None
    return match_training_rows(rows, bundle.read(SEEN_FILE), bundle.manifest.fields)
