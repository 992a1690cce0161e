"""Labelling as a job: a judge's labels for a data set's rows, or for a pilot of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select

from tipstaff_trainer.data import Row as LabelledRow
from tipstaff_trainer.judge import (
    JudgedRow,
    JudgeSettings,
    Ledger,
    Progress,
    choose_examples,
    label_rows,
)
from tipstaff_trainer.judge.criteria import Criterion
from tipstaff_trainer.workspace.criteria import judge_form
from tipstaff_trainer.workspace.datasets import as_labelled
from tipstaff_trainer.workspace.labels import NewLabel, record
from tipstaff_trainer.workspace.tables import Job, Row
from tipstaff_trainer.workspace.workspace import Workspace

LEDGER_FILE = "ledger.sqlite"
_AT_ONCE = 100
_EVERY_SECONDS = 0.5


class StoredRows(Collection[LabelledRow]):
    """A data set's rows, or some of them, read from the database each time."""

    def __init__(self, workspace: Workspace, dataset: int, ids: Sequence[int] | None) -> None:
        self._workspace = workspace
        self._dataset = dataset
        self._ids = ids

    def __iter__(self) -> Iterator[LabelledRow]:
        if self._ids is None:
            yield from map(as_labelled, self._workspace.datasets.rows(self._dataset))
        else:
            for row_id in self._ids:
                yield as_labelled(self._workspace.datasets.row(row_id))

    def __len__(self) -> int:
        if self._ids is not None:
            return len(self._ids)
        return self._workspace.datasets.get(self._dataset).rows

    def __contains__(self, row: object) -> bool:
        return any(row == each for each in self)


def run(workspace: Workspace, job: Job) -> tuple[str, dict[str, Any]]:
    """Asks the judge, and records its labels; what it was paid for is in the ledger."""
    given = job.parameters
    dataset = int(given["dataset"])
    stored = workspace.criteria.get(given["criterion"], given["criterion_version"])
    criterion = judge_form(stored.name, stored.criterion, stored.prompt)
    rows = StoredRows(workspace, dataset, given["rows"])
    settings = JudgeSettings.model_validate(
        given["judge"] | {"api_key": _key(given.get("key_variable", ""))}
    )
    stop = threading.Event()
    # The calls on their way are paid for: let them come in.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    last = 0.0

    def tell(progress: Progress) -> None:
        nonlocal last
        if progress.done < progress.total and time.monotonic() - last < _EVERY_SECONDS:
            return
        last = time.monotonic()
        message = f"{progress.calls} calls, {progress.tokens:,} tokens"
        if progress.cost:
            message += f", {progress.cost:.2f} paid"
        workspace.jobs.update(job.id, done=progress.done, total=progress.total, message=message)
        print(f"{progress.done}/{progress.total}: {message}", flush=True)

    with Ledger(workspace.folder / LEDGER_FILE) as ledger:
        labelled = label_rows(
            rows,
            criterion,
            settings,
            ledger,
            examples=_examples(workspace, dataset, criterion, given["examples"]),
            on_progress=tell,
            stop=stop,
        )
        for note in labelled.progress.notes:
            print(note, flush=True)
        given_labels, failures = _store(workspace, dataset, labelled.rows, stored.version)
    result = {"labelled": given_labels, "failed": len(failures), "failures": failures[:20]}
    if labelled.stopped:
        workspace.jobs.update(job.id, result=result)
        workspace.jobs.finish(
            job.id, "stopped", f"{labelled.stopped}; {given_labels} rows are labelled so far"
        )
    return f"{given_labels} of {len(rows)} rows are labelled" + (
        f", {len(failures)} could not be: {failures[0]}" if failures else ""
    ), result


def _examples(
    workspace: Workspace, dataset: int, criterion: Criterion, count: int
) -> Sequence[LabelledRow]:
    """Rows that people have labelled, as examples for the judge."""
    if not count:
        return ()
    reviewed = [as_labelled(row) for row in workspace.datasets.rows(dataset, only="human")]
    # Those that the pilot asked about are there for this; random ones are for honest numbers.
    pilot = [row for row in reviewed if row.selection == "pilot"]
    return choose_examples(pilot or reviewed, count) if reviewed else ()


def _store(
    workspace: Workspace, dataset: int, judged: Iterable[JudgedRow], criterion_version: int
) -> tuple[int, list[str]]:
    """Records the judge's labels; says how many there are, and why the others aren't."""
    count = 0
    failures: list[str] = []
    rest = iter(judged)
    while some := list(islice(rest, _AT_ONCE)):
        with workspace.database.writing() as session:
            ids = dict(
                session.execute(
                    select(Row.key, Row.id).where(
                        Row.dataset_id == dataset, Row.key.in_([each.row.id for each in some])
                    )
                ).all()
            )
            for each in some:
                if each.label is None:
                    failures.append(f"{each.row.place}: {each.failure}")
                    continue
                count += 1
                record(session, ids[each.row.id], _label(each, criterion_version))
    return count, failures


def _label(judged: JudgedRow, criterion_version: int) -> NewLabel:
    assert judged.label is not None
    return NewLabel(
        value=judged.label,
        source="judge",
        who=judged.judge,
        reason=judged.reason,
        doubt=1 - abs(2 * judged.label - 1),
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
