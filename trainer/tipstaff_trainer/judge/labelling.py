"""Labelling rows with a judge: questions → ledger → labels.

Asking fills the ledger, in whatever order replies come; labels are then read from the ledger in the
order of the rows. So a run that stops anywhere can be resumed, and memory holds neither replies nor
labels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

from tipstaff_trainer.data import Row
from tipstaff_trainer.data.origins import JUDGE_COLUMN, PROMPT_COLUMN
from tipstaff_trainer.judge.criteria import JudgeCriterion
from tipstaff_trainer.judge.endpoint import Endpoint
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.question import Plan
from tipstaff_trainer.judge.records import rounded, row_record
from tipstaff_trainer.judge.replies import LabelKind
from tipstaff_trainer.judge.run import JudgeRun
from tipstaff_trainer.judge.settings import JudgeSettings, check_api_key
from tipstaff_trainer.progress import Reporter


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """A row with a judge's label.

    Attributes:
        row: The row as it was before.
        label: Probability in [0, 1] that the output meets the criterion; None if there is no label.
        kind: Where the label comes from: `logprobs`, `samples` or the bare `verdict`.
        reason: The judge's reason.
        failure: Why there is no label.
        judge: The judge's model.
        criterion: The criterion's name.
        prompt_hash: Hash of the prompt with its examples.
        unread: A reply that can't be read, where there is no label.
    """

    row: Row
    label: float | None
    kind: LabelKind | None
    reason: str
    failure: str
    judge: str
    criterion: str
    prompt_hash: str
    unread: str = ""

    def record(self) -> dict[str, Any]:
        """The row as an object that `tipstaff train` reads.

        A person's label stays, with the judge's beside it as `judge_label`. Any other earlier label
        becomes `previous_label`.
        """
        label = rounded(self.label)
        columns: dict[str, Any] = {
            "label": label,
            "label_source": "judge",
            "judge_label": label,
            "judge_reason": self.reason,
            JUDGE_COLUMN: self.judge,
            "label_kind": self.kind,
            "criterion": self.criterion,
            PROMPT_COLUMN: self.prompt_hash,
        }
        if self.failure:
            columns["judge_failure"] = self.failure
        if self.unread:
            columns["judge_reply"] = self.unread
        if self.row.labelled and self.row.label_source == "human":
            columns |= {"label": self.row.label, "label_source": "human"}
        elif self.row.labelled:
            columns["previous_label"] = self.row.label
        return row_record(self.row, **columns)


@dataclass(frozen=True, slots=True)
class JudgedRows:
    """Rows with a judge's labels, read from the ledger each time they are iterated over."""

    rows: Collection[Row]
    plan: Plan
    ledger: Ledger

    def __iter__(self) -> Iterator[JudgedRow]:
        return (_judged(row, self.plan, self.ledger) for row in self.rows)


@dataclass(frozen=True, slots=True)
class JudgeOutcome:
    """What a run of a judge achieved.

    Attributes:
        rows: All rows, labelled as far as the run got.
        settled: Rows that need no more calls: labelled, refused or given up.
        stopped: Why the run stopped before its end; empty if it didn't.
        tokens: Tokens that were paid for, by the ledger's account and earlier runs of it.
        cost: The same in money, in the prices' currency.
    """

    rows: JudgedRows
    settled: int
    stopped: str
    tokens: int
    cost: float


def label_rows(
    rows: Collection[Row],
    criterion: JudgeCriterion,
    settings: JudgeSettings,
    ledger: Ledger,
    *,
    api_key: str | None = None,
    examples: Sequence[Row] = (),
    batch: bool = False,
    on_row: Callable[[JudgedRow], None] | None = None,
    reporter: Reporter | None = None,
    stop: Event | None = None,
) -> JudgeOutcome:
    """Asks a judge about the rows that the ledger has no replies for.

    Args:
        rows: Iterated over more than once; need not be in memory.
        criterion: What is judged.
        settings: The judge, its pace and its budget.
        ledger: Where questions and replies are stored; opened by the calling thread.
        api_key: The endpoint's key, sent as a bearer token.
        examples: Reviewed rows to show the judge (`choose_examples`).
        batch: Ask with the provider's batch files: cheaper, and takes up to a day.
        on_row: Takes each row that needs no more calls, in the calling thread: as replies come or,
            with batch files, at the end. Rows that the ledger knew before are included.
        reporter: Takes notes, and each settled row as a step, in the calling thread.
        stop: Set it, from any thread, to stop after the calls on their way; set here if the run
            fails.

    Raises:
        UsageError: The key can't be sent.
        JudgeError: The criterion names a column that no row has; or the endpoint refuses all calls,
            demands other credentials, or doesn't answer for `patience` seconds. The ledger keeps
            what was paid for.
    """
    reporter, stop = reporter or Reporter(), stop or Event()
    endpoint = Endpoint(settings, stop, api_key=check_api_key(api_key), reporter=reporter)
    criterion.check_columns(rows, reporter)

    def on_settled(plan: Plan, row: Row) -> None:
        if on_row is not None:
            on_row(_judged(row, plan, ledger))

    run = JudgeRun(rows, ledger, endpoint, on_settled=on_settled, reporter=reporter, stop=stop)
    plan = asyncio.run(run.ask_all(criterion, tuple(examples), batch=batch))
    if batch and on_row is not None:
        for row in rows:
            question = plan.question(row)
            if not plan.missing(question, ledger.replies(question.key)):
                on_settled(plan, row)
    return JudgeOutcome(
        rows=JudgedRows(rows, plan, ledger),
        settled=run.settled,
        stopped=run.stopped,
        tokens=run.budget.tokens,
        cost=run.budget.cost,
    )


def _judged(row: Row, plan: Plan, ledger: Ledger) -> JudgedRow:
    question = plan.question(row)
    replies = ledger.replies(question.key)
    opinion = plan.opinion(question, replies)
    return JudgedRow(
        row=row,
        label=opinion.label if opinion else None,
        kind=opinion.kind if opinion else None,
        reason=opinion.reason if opinion else "",
        failure="" if opinion else ledger.refusal(question.key) or plan.complaint(replies),
        unread="" if opinion else plan.unread(question, replies),
        judge=plan.settings.model,
        criterion=plan.prompt.criterion.name,
        prompt_hash=plan.prompt.hash,
    )
