"""The asking itself: calls or batch files, until the ledger has what the rows want."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from threading import Event

from tipstaff.errors import TipstaffError
from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import BudgetError, JudgeError
from tipstaff_trainer.judge.batch_files import (
    check_not_in_batches,
    collect_batches,
    send_batches,
)
from tipstaff_trainer.judge.budget import Budget
from tipstaff_trainer.judge.criteria import Criterion
from tipstaff_trainer.judge.endpoint import Endpoint, RefusedError
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.live import ask
from tipstaff_trainer.judge.pace import StoppedError
from tipstaff_trainer.judge.prompt import Prompt
from tipstaff_trainer.judge.question import FORMS, Plan, Question
from tipstaff_trainer.judge.replies import LabelKind, Reply
from tipstaff_trainer.judge.settings import JudgeSettings

_ROWS_TO_TRY = 5
# With so many rows' replies unreadable and none read, it is the judge or the prompt.
_UNREAD_TO_STOP = 20


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


class Job:
    """Asks until the ledger has what the rows want, or something stops it."""

    def __init__(
        self,
        rows: Collection[Row],
        settings: JudgeSettings,
        ledger: Ledger,
        on_progress: Callable[[Progress], None],
        stop: Event,
        notes: Sequence[str],
        on_settled: Callable[[Plan, Row], None],
    ) -> None:
        self.stopped = ""
        self._out_of_money = ""
        self._failure: TipstaffError | None = None
        self._rows = rows
        self._settings = settings
        self._ledger = ledger
        self._on_progress = on_progress
        self._stop = stop
        self._notes = list(notes)
        self._on_settled = on_settled
        self._budget = Budget(settings, ledger.spent(settings.model))
        self._done = 0
        self._calls = 0
        self._read = 0
        self._unread = 0
        self._on_its_way: dict[str, asyncio.Event] = {}

    def progress(self) -> Progress:
        """How far it is."""
        return Progress(
            done=self._done,
            total=len(self._rows),
            calls=self._calls,
            cost=self._budget.cost,
            tokens=self._budget.tokens,
            notes=tuple(self._notes),
        )

    async def run(
        self, criterion: Criterion, examples: tuple[Row, ...], *, batch: bool = False
    ) -> Plan:
        """Asks, and returns how; `stopped` says if it was stopped.

        Raises:
            JudgeError: The endpoint won't.
        """
        async with Endpoint(self._settings, self._stop, self._tell) as endpoint:
            endpoint.dialect.notes = self._notes
            plan = await self._plan(endpoint, criterion, examples)
            if self.stopped:
                return plan
            # Another form of reply: what was read in the one says nothing of the other.
            self._read = self._unread = 0
            if batch:
                try:
                    with suppress(StoppedError):
                        await self._ask_by_batch(endpoint, plan)
                except RefusedError as error:
                    raise JudgeError(
                        f"the endpoint won't take a batch file: {error}; what was paid for is "
                        "kept: run the command again, or ask without --batch"
                    ) from None
                self._is_stopped()
            else:
                await self._ask_live(endpoint, plan)
        return plan

    async def _ask_live(self, endpoint: Endpoint, plan: Plan) -> None:
        check_not_in_batches(self._ledger, (plan.question(row).key for row in self._rows))
        waiting = iter(self._rows)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._settings.concurrency, len(self._rows))):
                workers.create_task(self._work(endpoint, plan, waiting))
        if self._failure is not None:
            raise self._failure

    async def _ask_by_batch(self, endpoint: Endpoint, plan: Plan) -> None:
        """Collects, and sends what is missing, until nothing is.

        What failed in passing is sent again; a reply that can't be read, too.
        """
        for round_ in range(1 + self._settings.attempts):
            await collect_batches(
                endpoint,
                self._settings,
                self._ledger,
                on_replies=self._received,
            )
            self._count(plan)
            if self._is_stopped():
                return
            self._budget.release()
            if not round_:
                await self._try_out(endpoint, plan)
                if self._is_stopped():
                    return
            questions = self._unanswered(plan, again=round_ > 0)
            sent = await send_batches(endpoint, questions, self._settings, self._ledger)
            if not sent:
                return
            self._notes.append(f"{sent:,} questions are on their way in batch files")
            self._on_progress(self.progress())

    async def _try_out(self, endpoint: Endpoint, plan: Plan) -> None:
        """Asks one question by a call: what the endpoint doesn't take would fail a whole file."""
        if plan.kind == "logprobs":
            # Tried out when the plan was made.
            return
        for row in self._rows:
            if plan.missing(self._ledger.replies(plan.question(row).key)):
                await self._settle(endpoint, plan, row)
                self._count(plan)
                return

    def _unanswered(self, plan: Plan, *, again: bool) -> Iterator[tuple[Question, int]]:
        """Questions to send, with how many replies they lack; as many as the budget allows."""
        sent = set()
        for row in self._rows:
            question = plan.question(row)
            missing = plan.missing(self._ledger.replies(question.key))
            if not missing or question.key in sent:
                continue
            if again and self._ledger.refusal(question.key):
                continue
            try:
                self._budget.take(question.messages, missing)
            except BudgetError as error:
                self._out_of_money = str(error)
                return
            sent.add(question.key)
            yield question, missing

    def _tell(self, note: str) -> None:
        self._notes.append(note)
        self._on_progress(self.progress())

    def _received(self, replies: list[Reply]) -> None:
        self._budget.paid(replies)
        self._calls += 1

    def _count(self, plan: Plan) -> None:
        keys = (plan.question(row).key for row in self._rows)
        self._done = sum(not plan.missing(self._ledger.replies(key)) for key in keys)
        self._on_progress(self.progress())

    async def _plan(
        self, endpoint: Endpoint, criterion: Criterion, examples: tuple[Row, ...]
    ) -> Plan:
        """The kind of label to get: what was asked for, or by trying out what the endpoint has."""

        def plan(kind: LabelKind) -> Plan:
            return Plan(Prompt(criterion, FORMS[kind], examples), kind, self._settings)

        soft = self._settings.soft
        if soft in ("samples", "verdict"):
            return plan(soft)
        best = plan("logprobs")
        lacking = "the endpoint gives no log-probabilities"
        # More than one, since an endpoint may refuse a row for what it holds.
        for row in islice(self._rows, _ROWS_TO_TRY):
            await self._settle(endpoint, best, row)
            replies = self._ledger.replies(best.question(row).key)
            if not replies:
                if self.stopped:
                    return best
                continue
            if not any(reply.first_tokens for reply in replies):
                break
            opinion = best.opinion(replies)
            if opinion is None or opinion.kind == "logprobs":
                return best
            # As of a reasoning model, whose first tokens are its thoughts.
            lacking = "the endpoint's log-probabilities don't tell Yes from No"
        if soft == "logprobs":
            raise JudgeError(f"{lacking}: take --soft samples or --soft verdict")
        if self._settings.samples == 1:
            self._notes.append(f"{lacking}: labels are bare verdicts")
            return plan("verdict")
        self._notes.append(
            f"{lacking}: each row is asked {self._settings.samples} times, and its label is the "
            "share of Yes (--samples)"
        )
        return plan("samples")

    async def _work(self, endpoint: Endpoint, plan: Plan, waiting: Iterator[Row]) -> None:
        try:
            for row in waiting:
                if await self._settle(endpoint, plan, row):
                    self._done += 1
                    self._on_settled(plan, row)
                    self._on_progress(self.progress())
                if self._is_stopped():
                    return
                # Rows that the ledger knows would else keep the others from their replies.
                await asyncio.sleep(0)
        except TipstaffError as error:
            # Raised here it would take the calls on their way with it, which are paid for.
            self._fail(error)

    def _fail(self, error: TipstaffError) -> None:
        if self._failure is None:
            self._failure = error
            # Whoever only waits for a turn gives up.
            self._stop.set()
            if self._on_its_way:
                self._tell(f"{error}: stopping after the calls on their way")

    async def _settle(self, endpoint: Endpoint, plan: Plan, row: Row) -> bool:
        """Asks about a row until the ledger has what it wants; whether it has."""
        question = plan.question(row)
        # Rows of the same texts are one question.
        while question.key in self._on_its_way:
            await self._on_its_way[question.key].wait()
        settled = self._on_its_way[question.key] = asyncio.Event()
        try:
            while missing := plan.missing(self._ledger.replies(question.key)):
                if self._is_stopped():
                    return False
                await self._ask(endpoint, question, missing)
            self._note_reading(plan, self._ledger.replies(question.key))
        except RefusedError as error:
            self._ledger.refuse(question.key, str(error))
        except BudgetError as error:
            self.stopped = str(error)
            return False
        except StoppedError:
            # Not further up, where it would take the calls on their way with it.
            self._is_stopped()
            return False
        finally:
            del self._on_its_way[question.key]
            settled.set()
        return True

    async def _ask(self, endpoint: Endpoint, question: Question, missing: int) -> None:
        wanted = 1 if "n" in endpoint.dialect.without else missing
        reserved = await self._budget.reserve(question.messages, wanted)
        replies: list[Reply] = []
        try:
            replies = await ask(endpoint, question, self._settings, wanted)
            # Before anything else: it is paid for.
            self._ledger.add(question.key, self._settings.model, replies)
        finally:
            await self._budget.settle(reserved, replies)
        self._calls += 1
        if len(replies) < wanted:
            endpoint.dialect.without.add("n")

    def _note_reading(self, plan: Plan, replies: Sequence[Reply]) -> None:
        if plan.opinion(replies) is not None:
            self._read += 1
            return
        self._unread += 1
        if self._unread >= _UNREAD_TO_STOP and not self._read:
            said = " ".join(replies[-1].text.split())[:100]
            last = f"; the last said {said!r}" if said else ""
            raise JudgeError(
                f"not one of the first {self._unread} rows got a reply that can be read "
                f"({plan.complaint(replies)}{last}): try another --soft, a higher "
                "--max-reply-tokens or another judge"
            )

    def _is_stopped(self) -> bool:
        self.stopped = self.stopped or self._out_of_money
        if self._stop.is_set():
            self.stopped = self.stopped or "stopped"
        return bool(self.stopped)
