"""One run of a judge: calls or batch files, until the ledger has the replies that the rows need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import islice
from threading import Event

from tipstaff.errors import TipstaffError
from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import BudgetError, JudgeError
from tipstaff_trainer.judge.batch_files import BatchFiles, check_not_in_batches
from tipstaff_trainer.judge.budget import Budget
from tipstaff_trainer.judge.criteria import JudgeCriterion
from tipstaff_trainer.judge.endpoint import Endpoint, RefusedError
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.live import ask
from tipstaff_trainer.judge.pace import StoppedError
from tipstaff_trainer.judge.prompt import Prompt
from tipstaff_trainer.judge.question import Plan, Question, form_of
from tipstaff_trainer.judge.replies import LabelKind, Reply
from tipstaff_trainer.progress import Reporter

# Rows to find out with which kind of label an endpoint gives.
_TRIAL_ROWS = 5
# After so many rows without a readable reply, and none with one, blame the judge or the prompt.
_UNREADABLE_TO_STOP = 20


class JudgeRun:
    """Asks until the ledger has the replies that the rows need, or something stops it.

    Args:
        rows: The rows to ask about.
        ledger: Stores questions and replies.
        endpoint: The judge's endpoint; opened and closed by `ask_all`.
        on_settled: Takes each row that needs no more calls, when asking by calls.
        reporter: Takes notes, and each row as a step.
        stop: Set it, from any thread, to stop after the calls on their way.

    Attributes:
        settled: Rows that need no more calls: labelled, refused or given up.
        budget: What the ledger's account has paid this model for, this run included.
        stopped: Why the run stopped before its end; empty if it didn't.
    """

    def __init__(
        self,
        rows: Collection[Row],
        ledger: Ledger,
        endpoint: Endpoint,
        *,
        on_settled: Callable[[Plan, Row], None],
        reporter: Reporter,
        stop: Event,
    ) -> None:
        self._settings = endpoint.settings
        self.settled = 0
        self.budget = Budget(self._settings, *ledger.spent(self._settings.model))
        self.stopped = ""
        self._failure: TipstaffError | None = None
        self._rows = rows
        self._ledger = ledger
        self._endpoint = endpoint
        self._on_settled = on_settled
        self._reporter = reporter
        self._stop = stop
        # Calls that this run made, or questions that batches answered.
        self._calls = 0
        self._readable = 0
        self._unreadable = 0
        self._on_its_way: dict[str, asyncio.Event] = {}

    async def ask_all(
        self, criterion: JudgeCriterion, examples: tuple[Row, ...], *, batch: bool = False
    ) -> Plan:
        """Asks about all rows, by calls or by batch files.

        Returns:
            How rows became questions; labels are read from the ledger with it.

        Raises:
            JudgeError: The endpoint refuses, fails or is down.
        """
        async with self._endpoint:
            plan = await self._choose_plan(criterion, examples)
            if self.stopped:
                return plan
            # Another form of reply starts a new count.
            self._readable = self._unreadable = 0
            if not batch:
                await self._ask_live(plan)
                return plan
            try:
                with suppress(StoppedError):
                    await self._ask_by_batch(plan)
            except RefusedError as error:
                raise JudgeError(
                    f"the endpoint won't take a batch file: {error}",
                    remedy="what was paid for is kept: try again, or leave out {batch}",
                ) from None
            self._is_stopped()
        return plan

    async def _choose_plan(self, criterion: JudgeCriterion, examples: tuple[Row, ...]) -> Plan:
        """Chooses the kind of label: by the settings, or by trying out what the endpoint gives."""

        def plan(kind: LabelKind) -> Plan:
            return Plan(Prompt(criterion, form_of(kind), examples), kind, self._settings)

        soft = self._settings.soft
        if soft in ("samples", "verdict"):
            return plan(soft)
        best = plan("logprobs")
        lacking = "the endpoint gives no log-probabilities"
        # More than one, since an endpoint may refuse a row for its content.
        for row in islice(self._rows, _TRIAL_ROWS):
            await self._settle(best, row)
            replies = self._replies(best.question(row))
            if not replies:
                if self.stopped:
                    return best
                continue
            if not any(reply.first_tokens for reply in replies):
                break
            opinion = best.opinion(best.question(row), replies)
            if opinion is None or opinion.kind == "logprobs":
                return best
            # A reasoning model's first tokens are its thoughts.
            lacking = "the endpoint's log-probabilities don't tell Yes from No"
        if soft == "logprobs":
            raise JudgeError(lacking, field="soft", value=soft, remedy="choose samples or verdict")
        if self._settings.samples == 1:
            self._reporter.note(f"{lacking}: labels are bare verdicts")
            return plan("verdict")
        self._reporter.note(
            f"{lacking}: each row is asked {self._settings.samples} times, and its label is the "
            "share of Yes",
            remedy="set {samples} to change that",
        )
        return plan("samples")

    async def _ask_live(self, plan: Plan) -> None:
        check_not_in_batches(self._ledger, (plan.question(row).key for row in self._rows))
        waiting = iter(self._rows)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._settings.concurrency, len(self._rows))):
                workers.create_task(self._work(plan, waiting))
        if self._failure is not None:
            raise self._failure

    async def _work(self, plan: Plan, waiting: Iterator[Row]) -> None:
        """Asks about waiting rows, one at a time, until none is left or the run stops."""
        try:
            for row in waiting:
                if await self._settle(plan, row):
                    self.settled += 1
                    self._on_settled(plan, row)
                    self._report_step()
                if self._is_stopped():
                    return
                # Let others take their replies: rows that the ledger knows never wait.
                await asyncio.sleep(0)
        except TipstaffError as error:
            # Raising it here would cancel the calls on their way, which are paid for.
            if self._failure is None:
                self._failure = error
                # Ends the workers that only wait for a turn.
                self._stop.set()
                if self._on_its_way:
                    self._reporter.note(f"{error.message}: stopping after the calls on their way")

    async def _ask_by_batch(self, plan: Plan) -> None:
        """Collects replies and sends the questions that lack some, until none does.

        Questions that failed temporarily are sent again, and those whose reply can't be read.
        """
        files = BatchFiles(self._endpoint, self._ledger)
        for round_ in range(1 + self._settings.attempts):
            await files.collect(self._count_batched)
            self._count_settled(plan)
            if self._is_stopped():
                return
            self.budget.release()
            # Choosing the plan has tried out log-probabilities.
            if round_ == 0 and plan.kind != "logprobs":
                await self._try_out(plan)
                if self._is_stopped():
                    return
            sent = await files.send(self._unanswered(plan, again=round_ > 0))
            if not sent:
                return
            self._reporter.note(f"{sent:,} questions are on their way in batch files")
            self._report_step()

    async def _try_out(self, plan: Plan) -> None:
        """Asks one question by a call: an unsupported parameter would fail a whole file."""
        for row in self._rows:
            question = plan.question(row)
            if plan.missing(question, self._replies(question)):
                await self._settle(plan, row)
                self._count_settled(plan)
                return

    def _unanswered(self, plan: Plan, *, again: bool) -> Iterator[tuple[Question, int]]:
        """Questions that lack replies, and how many; as many questions as the budget covers."""
        sent = set()
        for row in self._rows:
            question = plan.question(row)
            missing = plan.missing(question, self._replies(question))
            if not missing or question.key in sent:
                continue
            if again and self._ledger.refusal(question.key):
                continue
            try:
                self.budget.take(question.messages, missing)
            except BudgetError as error:
                self.stopped = error.message
                return
            sent.add(question.key)
            yield question, missing

    def _count_batched(self, replies: list[Reply]) -> None:
        self.budget.charge(replies)
        self._calls += 1

    def _count_settled(self, plan: Plan) -> None:
        questions = map(plan.question, self._rows)
        self.settled = sum(not plan.missing(each, self._replies(each)) for each in questions)
        self._report_step()

    def _report_step(self) -> None:
        calls = f"{self._calls:,} call{'' if self._calls == 1 else 's'}"
        self._reporter.step(self.settled, len(self._rows), f"{calls}, {self.budget.summary}")

    async def _settle(self, plan: Plan, row: Row) -> bool:
        """Asks about a row until the ledger has its replies; returns whether it has."""
        question = plan.question(row)
        # Rows with the same texts are one question.
        while question.key in self._on_its_way:
            await self._on_its_way[question.key].wait()
        settled = self._on_its_way[question.key] = asyncio.Event()
        try:
            while missing := plan.missing(question, self._replies(question)):
                if self._is_stopped():
                    return False
                await self._ask(question, missing)
            self._count_readable(plan, question)
        except RefusedError as error:
            self._ledger.refuse(question.key, str(error))
        except (BudgetError, StoppedError) as error:
            # Passing it on would cancel the calls on their way.
            self.stopped = self.stopped or str(error)
            return False
        finally:
            del self._on_its_way[question.key]
            settled.set()
        return True

    async def _ask(self, question: Question, missing: int) -> None:
        unsupported = self._endpoint.dialect.without
        count = 1 if "n" in unsupported else missing
        reserved = await self.budget.reserve(question.messages, count)
        replies: list[Reply] = []
        try:
            replies = await ask(self._endpoint, question, count)
            # Store them before anything else: they are paid for.
            self._ledger.add(question.key, self._settings.model, replies)
        finally:
            await self.budget.settle(reserved, replies)
        self._calls += 1
        if len(replies) < count:
            unsupported.add("n")

    def _count_readable(self, plan: Plan, question: Question) -> None:
        replies = self._replies(question)
        if plan.opinion(question, replies) is not None:
            self._readable += 1
            return
        self._unreadable += 1
        if self._unreadable >= _UNREADABLE_TO_STOP and not self._readable:
            text = " ".join(replies[-1].text.split())[:100]
            last = f"; the last was {text!r}" if text else ""
            raise JudgeError(
                f"not one of the first {self._unreadable} rows got a reply that can be read "
                f"({plan.complaint(replies)}{last})",
                remedy="change {soft}, raise {max_reply_tokens} or choose another {model}",
            )

    def _replies(self, question: Question) -> list[Reply]:
        return self._ledger.replies(question.key)

    def _is_stopped(self) -> bool:
        """Whether to make no further calls; `stopped` says why from then on."""
        if self._stop.is_set():
            self.stopped = self.stopped or "stopped"
        return bool(self.stopped)
