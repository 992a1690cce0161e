"""Labelling rows with a judge: questions → ledger → labels.

Asking fills the ledger, in whatever order replies come; labels are then read from the ledger in the
order of the rows. So a job that stops anywhere goes on where it was, and memory holds neither
replies nor labels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import Any

from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import BudgetError, JudgeError
from tipstaff_trainer.judge.budget import Budget
from tipstaff_trainer.judge.criteria import Criterion
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.live import LiveJudge, RefusedError
from tipstaff_trainer.judge.prompt import Prompt
from tipstaff_trainer.judge.question import FORMS, Plan, Question
from tipstaff_trainer.judge.records import rounded, row_record
from tipstaff_trainer.judge.replies import LabelKind, Reply
from tipstaff_trainer.judge.settings import JudgeSettings

_ROWS_TO_TRY = 5


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        done: Rows that need no more calls: labelled, refused or given up.
        total: Rows in all.
        calls: Replies received by this job.
        cost: Money that the ledger has paid to this model, in the prices' currency.
        tokens: Likewise, tokens.
        notes: What the user should know, so far.
    """

    done: int
    total: int
    calls: int
    cost: float
    tokens: int
    notes: tuple[str, ...] = ()


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
        plan = self._plan
        prompt_hash = plan.prompt.hash
        for row in self._rows:
            key = plan.question(row).key
            replies = self._ledger.replies(key)
            opinion = plan.opinion(replies)
            failure = ""
            if opinion is None:
                failure = self._ledger.refusal(key) or (
                    f"none of {len(replies)} replies could be read" if replies else "not asked yet"
                )
            yield JudgedRow(
                row=row,
                label=None if opinion is None else opinion.label,
                kind=None if opinion is None else opinion.kind,
                reason="" if opinion is None else opinion.reason,
                failure=failure,
                judge=plan.settings.model,
                criterion=plan.prompt.criterion.name,
                prompt_hash=prompt_hash,
            )


def label_rows(
    rows: Collection[Row],
    criterion: Criterion,
    settings: JudgeSettings,
    ledger: Ledger,
    *,
    examples: Sequence[Row] = (),
    batch: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
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
        stop: Set it, from any thread, to stop after the calls on their way.

    Raises:
        JudgeError: The criterion names a column that no row has; or the endpoint refuses all calls,
            asks for other credentials, or doesn't answer for `patience` seconds. The ledger keeps
            what was paid for.
    """
    notes = criterion.check_columns(rows)
    job = _Job(rows, settings, ledger, on_progress or (lambda _: None), stop or Event(), notes)
    plan = asyncio.run(job.run(criterion, tuple(examples)))
    return Labelled(
        plan=plan,
        progress=job.progress(),
        stopped=job.stopped,
        rows=LabelledRows(rows, plan, ledger),
    )


class _Job:
    """Asks until the ledger has what the rows want, or something stops it."""

    def __init__(
        self,
        rows: Collection[Row],
        settings: JudgeSettings,
        ledger: Ledger,
        on_progress: Callable[[Progress], None],
        stop: Event,
        notes: Sequence[str],
    ) -> None:
        self.stopped = ""
        self._rows = rows
        self._settings = settings
        self._ledger = ledger
        self._on_progress = on_progress
        self._stop = stop
        self._notes = list(notes)
        self._budget = Budget(settings, ledger.spent(settings.model))
        self._done = 0
        self._calls = 0
        self._on_its_way: dict[str, asyncio.Event] = {}

    def progress(self) -> Progress:
        return Progress(
            done=self._done,
            total=len(self._rows),
            calls=self._calls,
            cost=self._budget.cost,
            tokens=self._budget.tokens,
            notes=tuple(self._notes),
        )

    async def run(self, criterion: Criterion, examples: tuple[Row, ...]) -> Plan:
        async with LiveJudge(self._settings) as judge:
            judge.dialect.notes = self._notes
            plan = await self._plan(judge, criterion, examples)
            waiting = iter(self._rows)
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(self._settings.concurrency, len(self._rows))):
                        workers.create_task(self._work(judge, plan, waiting))
            except* JudgeError as group:
                raise group.exceptions[0] from None
        return plan

    async def _plan(
        self, judge: LiveJudge, criterion: Criterion, examples: tuple[Row, ...]
    ) -> Plan:
        """The kind of label to get: what was asked for, or by trying out what the endpoint has."""

        def plan(kind: LabelKind) -> Plan:
            return Plan(Prompt(criterion, FORMS[kind], examples), kind, self._settings)

        soft = self._settings.soft
        if soft in ("samples", "verdict"):
            return plan(soft)
        best = plan("logprobs")
        # More than one, since an endpoint may refuse a row for what it holds.
        for row in islice(self._rows, _ROWS_TO_TRY):
            await self._settle(judge, best, row)
            if replies := self._ledger.replies(best.question(row).key):
                if any(reply.first_tokens for reply in replies):
                    return best
                break
            if self.stopped:
                return best
        if soft == "logprobs":
            raise JudgeError(
                "the endpoint gives no log-probabilities: take --soft samples or --soft verdict"
            )
        if self._settings.samples == 1:
            self._notes.append("the endpoint gives no log-probabilities: labels are bare verdicts")
            return plan("verdict")
        self._notes.append(
            f"the endpoint gives no log-probabilities: each row is asked {self._settings.samples} "
            "times, and its label is the share of Yes (--samples)"
        )
        return plan("samples")

    async def _work(self, judge: LiveJudge, plan: Plan, waiting: Iterator[Row]) -> None:
        for row in waiting:
            await self._settle(judge, plan, row)
            if self._is_stopped():
                return
            self._done += 1
            self._on_progress(self.progress())
            # Rows that the ledger knows would else keep the others from their replies.
            await asyncio.sleep(0)

    async def _settle(self, judge: LiveJudge, plan: Plan, row: Row) -> None:
        """Asks about a row until the ledger has what it wants."""
        question = plan.question(row)
        # Rows of the same texts are one question.
        while question.key in self._on_its_way:
            await self._on_its_way[question.key].wait()
        settled = self._on_its_way[question.key] = asyncio.Event()
        try:
            while missing := plan.missing(self._ledger.replies(question.key)):
                if self._is_stopped():
                    return
                await self._ask(judge, question, missing)
        except RefusedError as error:
            self._ledger.refuse(question.key, str(error))
        except BudgetError as error:
            self.stopped = str(error)
        finally:
            del self._on_its_way[question.key]
            settled.set()

    async def _ask(self, judge: LiveJudge, question: Question, missing: int) -> None:
        wanted = 1 if "n" in judge.dialect.without else missing
        reserved = await self._budget.reserve(question.messages, wanted)
        replies: list[Reply] = []
        try:
            replies = await judge.ask(question, wanted)
            # Before anything else: it is paid for.
            self._ledger.add(question.key, self._settings.model, replies)
        finally:
            await self._budget.settle(reserved, replies)
        self._calls += 1
        if len(replies) < wanted:
            judge.dialect.without.add("n")

    def _is_stopped(self) -> bool:
        if self._stop.is_set():
            self.stopped = self.stopped or "stopped"
        return bool(self.stopped)
