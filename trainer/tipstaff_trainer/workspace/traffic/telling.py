"""The rows behind a change, the most telling first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, select

from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import DatasetRow, RowLabel, TrafficRow
from tipstaff_trainer.workspace.traffic.kept import criterion_of, in_window
from tipstaff_trainer.workspace.traffic.window import Window

_MOST = 50


@dataclass(frozen=True, slots=True)
class TellingRow:
    """A kept row.

    Attributes:
        row: Its texts.
        traffic: What the server said of it.
        label: A person's label in [0, 1]; None without one.
    """

    row: DatasetRow
    traffic: TrafficRow
    label: float | None

    @property
    def wrong(self) -> str:
        """Who was wrong, by the label: `app`, `evaluator`, both or none."""
        if self.label is None:
            return ""
        good = self.label >= 0.5
        evaluator = self.traffic.verdict == ("BLOCK" if good else "PASS")
        return " and ".join(
            name for name, is_wrong in (("app", not good), ("evaluator", evaluator)) if is_wrong
        )


def telling_rows(
    database: Database,
    evaluator: str,
    dataset: int,
    window: Window,
    *,
    chart: str = "",
    direction: str = "",
) -> Sequence[TellingRow]:
    """Rows of a window, those that say most of a change first.

    Args:
        database: The workspace's database.
        evaluator: The evaluator's name.
        dataset: The data set of its traffic.
        window: The change's time.
        chart: One of `window.CHARTS`; empty for all rows, the latest first.
        direction: `up` or `down`.
    """
    by_criterion = RowLabel.criterion == criterion_of(dataset)
    query = (
        select(DatasetRow, TrafficRow, RowLabel.label, RowLabel.label_source)
        .join(TrafficRow, TrafficRow.row_id == DatasetRow.id)
        .outerjoin(RowLabel, and_(RowLabel.row_id == DatasetRow.id, by_criterion))
        .where(in_window(evaluator, window))
    )
    rising = direction == "up"
    if chart in ("PASS", "REVIEW", "BLOCK"):
        of_chart = TrafficRow.verdict == chart
        query = query.where(of_chart if rising else ~of_chart)
    if not chart:
        query = query.order_by(TrafficRow.at.desc())
    elif chart == "REVIEW":
        query = query.order_by(func.abs(TrafficRow.score - 0.5))
    elif chart == "PASS" and rising:
        # The doubtful among those that pass now.
        query = query.order_by(TrafficRow.score)
    elif chart == "BLOCK" and not rising:
        query = query.order_by(TrafficRow.score)
    elif chart == "expected_bad" and not rising:
        query = query.order_by(TrafficRow.score.desc())
    else:
        query = query.order_by(TrafficRow.score)
    return [
        TellingRow(row, traffic, label if source == "human" else None)
        for row, traffic, label, source in database.rows(query.limit(_MOST))
    ]
