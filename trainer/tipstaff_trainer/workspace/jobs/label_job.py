"""Labelling as a job: a judge's labels for a data set's rows, or for a pilot of them."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select

from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge import (
    JudgedRow,
    JudgeSettings,
    Ledger,
    Progress,
    label_rows,
)
from tipstaff_trainer.workspace.db.models import DatasetRow, Job, Label, LabelSet
from tipstaff_trainer.workspace.db.rows import to_data_row
from tipstaff_trainer.workspace.labels.criteria import to_judge_criterion
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS
from tipstaff_trainer.workspace.review.examples import reviewed_examples
from tipstaff_trainer.workspace.workspace import Workspace

LEDGER_FILE = "ledger.sqlite"
_AT_ONCE = 100
_EVERY_SECONDS = 0.5
_FAILURES_KEPT = 20
# What a judge's messages tell users of the command line, for those who have none before them.
_WORDS_FOR_FLAGS = (
    (r"map a column to it \(--map .+?\)", "bring the file again with a column for it"),
    (r"in the environment \(see --api-key-env\)", "in the variable that the job names"),
    (r"run the command again", "go on with the job"),
    (r" of --extra-body", ""),
    (r"--base-url", "the address"),
    (r"--judge-model", "the model's name"),
    (r"--max-reply-tokens", "limit of a reply"),
    (r"--soft", "kind of label:"),
    (r" \(--samples\)", ""),
)


class StoredRows(Collection[Row]):
    """A data set's rows, or some of them, read from the database each time.

    Args:
        workspace: Where they are.
        labels: Which they are read with.
        ids: Of some rows, in their order; None for all.
    """

    def __init__(self, workspace: Workspace, labels: LabelSet, ids: Sequence[int] | None) -> None:
        self._workspace = workspace
        self._labels = labels
        self._ids = ids
        # Asked for with every row; a data set's rows are there from the start.
        self._count = labels.dataset.rows if ids is None else len(ids)

    def __iter__(self) -> Iterator[Row]:
        datasets = self._workspace.datasets
        if self._ids is None:
            yield from map(to_data_row, datasets.rows(self._labels))
        else:
            yield from map(to_data_row, datasets.some(self._ids, self._labels))

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: object) -> bool:
        return any(row == each for each in self)


class Store:
    """Records the judge's labels as they come, a few at a time.

    One that stands already, from this job before it was killed, is not recorded twice.

    Attributes:
        count: Labels that the rows have by now.
        failed: Rows that the judge could not label.
        failures: Why, of the first of them.
    """

    def __init__(self, workspace: Workspace, labels: LabelSet, criterion_version: int) -> None:
        self.count = 0
        self.failed = 0
        self.failures: list[str] = []
        self._workspace = workspace
        self._labels = labels
        self._criterion_version = criterion_version
        self._waiting: list[JudgedRow] = []
        self._stored_at = time.monotonic()

    def __call__(self, judged: JudgedRow) -> None:
        """Takes a row; it is in the database within `_EVERY_SECONDS` of the next one."""
        if judged.label is None:
            self.failed += 1
            if self.failed <= _FAILURES_KEPT:
                self.failures.append(f"{judged.row.place}: {judged.failure}")
            return
        self._waiting.append(judged)
        late = time.monotonic() - self._stored_at >= _EVERY_SECONDS
        if late or len(self._waiting) >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Records what waits.

        Raises:
            WorkspaceError: It can't be stored; it is in the ledger, and waits here.
        """
        waiting = {each.row.id: each for each in self._waiting}
        with self._workspace.database.writing() as session:
            # Locked in one order and before anything else is, so that no two wait for each other.
            rows = session.execute(
                select(DatasetRow.id, DatasetRow.key)
                .where(
                    DatasetRow.dataset_id == self._labels.dataset_id, DatasetRow.key.in_(waiting)
                )
                .order_by(DatasetRow.id)
                .with_for_update()
            ).all()
            last = {
                label.row_id: label
                for label in session.scalars(
                    select(Label)
                    .where(Label.row_id.in_([row_id for row_id, _ in rows]))
                    .where(self._labels.of(Label), Label.source == "judge")
                    .order_by(Label.id)
                )
            }
            for row_id, key in rows:
                new = _label(waiting[key], self._criterion_version)
                if not _same(last.get(row_id), new):
                    record(session, row_id, self._labels.criterion, new)
        self.count += len(self._waiting)
        self._waiting.clear()
        self._stored_at = time.monotonic()


def run(workspace: Workspace, job: Job) -> tuple[str, dict[str, Any]]:
    """Asks the judge, and records its labels; what it was paid for is in the ledger."""
    given = job.parameters
    labels = workspace.label_set(int(given["dataset"]), given["criterion"])
    stored = workspace.criteria.get(given["criterion"], given["criterion_version"])
    criterion = to_judge_criterion(stored.name, stored.criterion, stored.prompt)
    ids, only = given["rows"], given.get("only", "all")
    if only != "all":
        # Once for the whole job: a row that it labels is no longer one without a label.
        ids = [row.id for row in workspace.datasets.rows(labels, only=only)]
    rows = StoredRows(workspace, labels, ids)
    if not len(rows):
        return "no row is left to label", {"labelled": 0, "failed": 0, "failures": []}
    settings = JudgeSettings.model_validate(
        given["judge"] | {"api_key": _key(given.get("key_variable", ""))}
    )
    stop = threading.Event()
    # The calls on their way are paid for: let them come in.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    store = Store(workspace, labels, stored.version)
    told = _Told(workspace, job.id)
    with Ledger(workspace.folder / LEDGER_FILE) as ledger:
        try:
            labelled = label_rows(
                rows,
                criterion,
                settings,
                ledger,
                examples=reviewed_examples(workspace, labels, given["examples"]),
                on_progress=told,
                on_row=store,
                stop=stop,
            )
        except JudgeError as error:
            raise JudgeError(_without_flags(str(error))) from None
        finally:
            store.flush()
            # They said so by the labels that were.
            workspace.scores.delete(labels, OTHER_ROWS)
    told(labelled.progress)
    result = {"labelled": store.count, "failed": store.failed, "failures": store.failures}
    if labelled.stopped:
        workspace.jobs.update(job.id, result=result)
        workspace.jobs.finish(
            job.id, "stopped", f"{labelled.stopped}; {store.count} rows are labelled so far"
        )
    return f"{store.count} of {len(rows)} rows are labelled" + (
        f", {store.failed} could not be: {store.failures[0]}" if store.failed else ""
    ), result


class _Told:
    """Says how far the job is, in its log and in the database; each note once."""

    def __init__(self, workspace: Workspace, job: int) -> None:
        self._workspace = workspace
        self._job = job
        self._notes = 0
        self._last = 0.0
        self._told: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        if progress == self._told:
            return
        self._told = progress
        notes = [_without_flags(note) for note in progress.notes[self._notes :]]
        self._notes = len(progress.notes)
        for note in notes:
            print(note, flush=True)
        early = time.monotonic() - self._last < _EVERY_SECONDS
        if early and not notes and progress.done < progress.total:
            return
        self._last = time.monotonic()
        calls = f"{progress.calls:,} call{'' if progress.calls == 1 else 's'}"
        message = f"{calls}, {progress.tokens:,} tokens"
        if progress.cost:
            message += f", {progress.cost:.2f} paid"
        print(f"{progress.done}/{progress.total}: {message}", flush=True)
        self._workspace.jobs.update(
            self._job,
            done=progress.done,
            total=progress.total,
            message="; ".join([message, *notes[-1:]]),
        )


def _without_flags(message: str) -> str:
    for flag, words in _WORDS_FOR_FLAGS:
        message = re.sub(flag, words, message)
    return message


def _same(last: Label | None, new: NewLabel) -> bool:
    return last is not None and (last.value, last.who, last.reason, last.details) == (
        new.value,
        new.who,
        new.reason,
        new.details,
    )


def _label(judged: JudgedRow, criterion_version: int) -> NewLabel:
    assert judged.label is not None
    return NewLabel(
        value=judged.label,
        source="judge",
        who=judged.judge,
        reason=judged.reason,
        details={
            "kind": judged.kind,
            "criterion": judged.criterion,
            "criterion_version": criterion_version,
            "prompt_hash": judged.prompt_hash,
        },
    )


def _key(variable: str) -> SecretStr | None:
    value = os.environ.get(variable, "") if variable else ""
    return SecretStr(value) if value else None
