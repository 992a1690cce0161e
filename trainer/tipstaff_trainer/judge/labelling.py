"""Labelling rows with a judge: questions → ledger → labels.

Asking fills the ledger, in whatever order replies come; labels are then read from the ledger in the
order of the rows. So a job that stops anywhere goes on where it was, and memory holds neither
replies nor labels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

from tipstaff_trainer.data import Row
from tipstaff_trainer.judge.criteria import Criterion
from tipstaff_trainer.judge.job import Job, Progress
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.question import Plan
from tipstaff_trainer.judge.records import rounded, row_record
from tipstaff_trainer.judge.replies import LabelKind
from tipstaff_trainer.judge.settings import JudgeSettings


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """A row with what a judge says of it.

    Attributes:
        row: As it was.
        label: Probability in [0, 1] that the output meets the criterion; None: not labelled.
        kind: Where the label comes from: `logprobs`, `samples` or the bare `verdict`.
        reason: The judge's words.
        failure: Why there is no label.
        judge: The judge's model.
        criterion: The criterion's name.
        prompt_hash: Of the prompt, examples included.
    """

    row: Row
    label: float | None
    kind: LabelKind | None
    reason: str
    failure: str
    judge: str
    criterion: str
    prompt_hash: str

    def record(self) -> dict[str, Any]:
        """The row as `tipstaff train` reads it.

        A label by a person stands, and the judge's is beside it, as `judge_label`. Any other label
        that the row had is `previous_label`.
        """
        by_person = self.row.labelled and self.row.label_source == "human"
        label = rounded(self.label)
        columns: dict[str, Any] = {
            "label": self.row.label if by_person else label,
            "label_source": "human" if by_person else "judge",
            "judge_label": label,
            "judge_reason": self.reason,
            "judge": self.judge,
            "label_kind": self.kind,
            "criterion": self.criterion,
            "prompt_hash": self.prompt_hash,
        }
        if self.failure:
            columns["judge_failure"] = self.failure
        if self.row.labelled and not by_person:
            columns["previous_label"] = self.row.label
        return row_record(self.row, **columns)


@dataclass(frozen=True, slots=True)
class Labelled:
    """What a job came to.

    Attributes:
        plan: How the rows were asked about.
        progress: Where the job ended.
        stopped: Why before its end; empty when it wasn't.
        rows: The rows, labelled as far as the job went. Iterating reads the ledger.
    """

    plan: Plan
    progress: Progress
    stopped: str
    rows: LabelledRows


class LabelledRows:
    """Rows with their labels, read from the ledger each time they are iterated over."""

    def __init__(self, rows: Collection[Row], plan: Plan, ledger: Ledger) -> None:
        self._rows = rows
        self._plan = plan
        self._ledger = ledger

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[JudgedRow]:
        for row in self._rows:
            yield _judged(row, self._plan, self._ledger)


def label_rows(
    rows: Collection[Row],
    criterion: Criterion,
    settings: JudgeSettings,
    ledger: Ledger,
    *,
    examples: Sequence[Row] = (),
    batch: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_row: Callable[[JudgedRow], None] | None = None,
    stop: Event | None = None,
) -> Labelled:
    """Asks a judge about rows, as far as the ledger doesn't know already.

    Args:
        rows: Iterated over more than once; need not be in memory.
        criterion: What is judged.
        settings: The judge, its pace and its budget.
        ledger: Where questions and replies are kept; of the calling thread.
        examples: Reviewed rows to show the judge (`choose_examples`).
        batch: Ask by the provider's batch files: cheaper, and takes up to a day.
        on_progress: Called after each row, from the calling thread.
        on_row: Given each row that needs no more calls, in whatever order they come, from the
            calling thread; rows that the ledger knew before too. Not where `batch` is.
        stop: Set it, from any thread, to stop after the calls on their way; set here where the
            judge can't go on.

    Raises:
        JudgeError: The criterion names a column that no row has; or the endpoint refuses all calls,
            asks for other credentials, or doesn't answer for `patience` seconds. The ledger keeps
            what was paid for.
    """
    notes = criterion.check_columns(rows)

    def settled(plan: Plan, row: Row) -> None:
        if on_row is not None:
            on_row(_judged(row, plan, ledger))

    job = Job(
        rows, settings, ledger, on_progress or (lambda _: None), stop or Event(), notes, settled
    )
    plan = asyncio.run(job.run(criterion, tuple(examples), batch=batch))
    return Labelled(
        plan=plan,
        progress=job.progress(),
        stopped=job.stopped,
        rows=LabelledRows(rows, plan, ledger),
    )


def _judged(row: Row, plan: Plan, ledger: Ledger) -> JudgedRow:
    key = plan.question(row).key
    replies = ledger.replies(key)
    opinion = plan.opinion(replies)
    failure = ""
    if opinion is None:
        failure = ledger.refusal(key) or plan.complaint(replies)
    return JudgedRow(
        row=row,
        label=None if opinion is None else opinion.label,
        kind=None if opinion is None else opinion.kind,
        reason="" if opinion is None else opinion.reason,
        failure=failure,
        judge=plan.settings.model,
        criterion=plan.prompt.criterion.name,
        prompt_hash=plan.prompt.hash,
    )
