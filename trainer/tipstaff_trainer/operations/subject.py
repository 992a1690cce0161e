"""A bundle to measure: loaded and warmed up, with its predictions on the rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_trainer.data import Data
from tipstaff_trainer.evaluation.notices import Notice, doubts, missing_fields
from tipstaff_trainer.evaluation.scored import ScoredRows


@dataclass(frozen=True)
class Subject:
    """One bundle, and its predictions on an operation's rows.

    Attributes:
        title: Its name for readers: its folder, or its name and version.
        bundle: The bundle.
        evaluator: One graph of it, warmed up.
        scored: The rows with their predictions.
    """

    title: str
    bundle: Bundle
    evaluator: Evaluator
    scored: ScoredRows

    @classmethod
    def load(
        cls, folder: Path, data: Data, *, title: str = "", precision: str | None = None
    ) -> Subject:
        """Loads a bundle and scores the rows with it.

        Raises:
            BundleError: The bundle is damaged, or has no such graph.
        """
        bundle, evaluator = Bundle.open(folder), load_evaluator(folder, precision=precision)
        return cls(title or str(folder), bundle, evaluator, ScoredRows.score(evaluator, data.rows))

    def notices(self, data: Data) -> list[Notice]:
        """Notices on what limits the numbers."""
        return [
            *missing_fields(self.bundle.manifest, data.rows),
            *map(Notice, doubts(self.scored, self.evaluator.graph)),
        ]


def load_evaluator(folder: Path, *, precision: str | None = None) -> Evaluator:
    """Loads an evaluator and checks whether this machine runs it as it was measured.

    Raises:
        BundleError: The bundle is damaged, or has no such graph.
    """
    evaluator = Evaluator.load(folder, precision=precision)
    evaluator.warm_up()
    return evaluator
