"""Stores a judge's labels as they come."""

from __future__ import annotations

import time

from sqlalchemy import select

from tipstaff_trainer.judge.labelling import JudgedRow
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import DatasetRow, Label, LabelSet
from tipstaff_trainer.workspace.labels.log import NewLabel, record

_BATCH_ROWS = 100
_EVERY_SECONDS = 0.5
_FAILURES = 20


class LabelSink:
    """Stores the judge's labels, a few at a time.

    A label that is stored already, by this job before it was killed, is not stored twice.

    Args:
        database: The workspace's.
        labels: The labels to add to.
        criterion_version: The version of the criterion that the judge is asked by.

    Attributes:
        count: Labels stored so far.
        failed: Rows that the judge could not label.
        failures: The reasons for the first of them.
    """

    def __init__(self, database: Database, labels: LabelSet, criterion_version: int) -> None:
        self.count = 0
        self.failed = 0
        self.failures: list[str] = []
        self._database = database
        self._labels = labels
        self._criterion_version = criterion_version
        self._pending: list[JudgedRow] = []
        self._flushed_at = time.monotonic()

    def __call__(self, judged: JudgedRow) -> None:
        """Takes a row; it is stored at the latest with the next one after half a second."""
        if judged.label is None:
            self.failed += 1
            if self.failed <= _FAILURES:
                self.failures.append(f"{judged.row.place}: {judged.failure}")
            return
        self._pending.append(judged)
        due = time.monotonic() - self._flushed_at >= _EVERY_SECONDS
        if due or len(self._pending) >= _BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Stores what is pending.

        Raises:
            WorkspaceError: It can't be stored; the ledger has it, and it stays pending here.
        """
        pending = {each.row.id: each for each in self._pending}
        with self._database.writing() as session:
            # Locked in one order and before anything else, so that no two writers deadlock.
            rows = session.execute(
                select(DatasetRow.id, DatasetRow.key)
                .where(DatasetRow.dataset_id == self._labels.dataset_id)
                .where(DatasetRow.key.in_(pending))
                .order_by(DatasetRow.id)
                .with_for_update()
            ).all()
            labels = session.scalars(
                select(Label)
                .where(Label.row_id.in_([row_id for row_id, _ in rows]))
                .where(self._labels.of(Label), Label.source == "judge")
                .order_by(Label.id)
            )
            latest = {label.row_id: _to_new_label(label) for label in labels}
            for row_id, key in rows:
                new = self._new_label(pending[key])
                if latest.get(row_id) != new:
                    record(session, row_id, self._labels.criterion, new)
        self.count += len(self._pending)
        self._pending.clear()
        self._flushed_at = time.monotonic()

    def _new_label(self, judged: JudgedRow) -> NewLabel:
        details = {
            "kind": judged.kind,
            "criterion": judged.criterion,
            "criterion_version": self._criterion_version,
            "prompt_hash": judged.prompt_hash,
        }
        return NewLabel(judged.label, "judge", judged.judge, reason=judged.reason, details=details)


def _to_new_label(label: Label) -> NewLabel:
    """A recorded label of a judge as it was before, to compare with."""
    return NewLabel(label.value, "judge", label.who, reason=label.reason, details=label.details)
