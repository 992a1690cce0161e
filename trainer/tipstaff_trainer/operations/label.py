"""Label: an LLM judge's labels for rows of a file or a data set.

rows → questions → ledger → labels → file, or a callable that takes each as it comes
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Self

from pydantic import model_validator

from tipstaff.errors import UsageError
from tipstaff_server.requests import setting
from tipstaff_trainer.data import Row, read_rows
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge.adversarial import warning_of
from tipstaff_trainer.judge.criteria import JudgeCriterion
from tipstaff_trainer.judge.examples import MOST_EXAMPLES
from tipstaff_trainer.judge.labelling import JudgedRow, label_rows
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.records import json_line
from tipstaff_trainer.judge.replies import LabelKind
from tipstaff_trainer.judge.settings import JudgeSettings, check_api_key
from tipstaff_trainer.operations.outputs import write_lines
from tipstaff_trainer.operations.sources import FileData, InputFile, StoredData
from tipstaff_trainer.progress import Reporter

# Fields that name files; a data set's labels, replies and examples are stored with it.
_OF_FILES = ("out", "ledger", "examples")
_KEY_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,60}_API_KEY")


class LabelRequest(JudgeSettings):
    """The rows to label, the criterion, and the judge's settings."""

    data: FileData | StoredData = setting(description="the rows to label")
    criterion: str = setting(
        min_length=1,
        description="the criterion to judge by: its name, or a TOML file of one",
        unit="name|file",
        common=True,
    )
    out: Path | None = setting(
        None, "the .jsonl file to write; needed to label a file", unit="file", local=True
    )
    ledger: Path | None = setting(
        None, "where paid replies are kept (default: beside the labels)", unit="file", local=True
    )
    examples: InputFile | None = setting(
        None, "reviewed rows to choose examples from (never held-out ones)", unit="file", local=True
    )
    shots: int = setting(
        8,
        "how many reviewed rows to show the judge as examples",
        title="Examples",
        unit="rows",
        common=True,
        ge=0,
        le=MOST_EXAMPLES,
    )
    batch: bool = setting(False, "use batch files: cheaper, within a day", title="Batch files")
    key_variable: str = setting(
        "OPENAI_API_KEY",
        "the environment variable that holds the endpoint's key",
        title="Key variable",
        unit="name",
        common=True,
    )
    pilot: bool = setting(False, "label a few rows no person has seen, and queue them for review")
    only: str = setting("all", "label only rows of this kind, such as unlabelled", title="Rows")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if isinstance(self.data, FileData):
            self._check_file(self.data.data)
        else:
            self._check_stored()
        return self

    def _check_file(self, data: Path) -> None:
        for path, what in ((data, "the rows come from"), (self.ledger, "replies are kept in")):
            if self.out and path is not None and self.out.resolve() == path.resolve():
                raise UsageError(
                    f"is the file that {what}",
                    field="out",
                    value=str(self.out),
                    remedy="choose another name",
                )
        if self.pilot or self.only != "all":
            name = "pilot" if self.pilot else "only"
            raise UsageError("a file's rows are all labelled", field=name)

    def _check_stored(self) -> None:
        # Whoever starts a job in a browser also chooses the address its key is sent to: no other
        # secret of this machine may go there. At a command line people can read the variables
        # anyway.
        if self.key_variable and not _KEY_VARIABLE.fullmatch(self.key_variable):
            raise UsageError(
                "is not read as a key",
                field="key_variable",
                value=self.key_variable[:80],
                remedy="name an environment variable that ends in _API_KEY, or none",
            )
        for name in ("headers", "secret_query"):
            for variable in getattr(self, name).values():
                if not _KEY_VARIABLE.fullmatch(variable):
                    raise UsageError(
                        "is not sent to an endpoint",
                        field=name,
                        value=variable[:80],
                        remedy="name environment variables that end in _API_KEY",
                    )
        for name in _OF_FILES:
            if getattr(self, name) is not None:
                raise UsageError("is for rows in files", field=name)
        if self.pilot and self.only != "all":
            raise UsageError("chooses its rows itself", field="pilot", remedy="leave out {only}")

    def account(self, criterion: JudgeCriterion) -> str:
        """Whose budget a ledger counts for a file: these rows by this criterion, in any run."""
        assert isinstance(self.data, FileData)
        words = [str(self.data.data.resolve()), criterion.model_dump_json()]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()

    @property
    def ledger_file(self) -> Path:
        """The ledger of a request for a file."""
        assert self.out is not None
        return self.ledger or self.out.with_suffix(".ledger.sqlite")


@dataclass(frozen=True, slots=True)
class LabelResult:
    """What labelling achieved.

    Attributes:
        rows: How many rows there are.
        kinds: How many rows are labelled, by kind of label.
        good: How many of the labels are good.
        failures: How many rows have no label, by reason.
        stopped: Why it stopped before its end; empty if it didn't.
        tokens: Tokens that were paid for, by the ledger's account and earlier runs of it.
        cost: The same in money, in the prices' currency.
        unread: One of the replies that could not be read; empty if there is none.
    """

    rows: int
    kinds: Mapping[LabelKind, int]
    good: int
    failures: Mapping[str, int]
    stopped: str
    tokens: int
    cost: float
    unread: str = ""

    @property
    def labelled(self) -> int:
        """How many rows are labelled."""
        return sum(self.kinds.values())


def label(
    request: LabelRequest,
    rows: Collection[Row],
    *,
    criterion: JudgeCriterion,
    ledger: Ledger,
    examples: Sequence[Row] = (),
    api_key: str | None = None,
    on_row: Callable[[JudgedRow], None] | None = None,
    reporter: Reporter | None = None,
    stop: Event | None = None,
) -> LabelResult:
    """Has a judge label rows; asks only for replies that the ledger doesn't have.

    Args:
        request: The judge, its pace and budget, and the file for the labels, if any: all rows are
            written there at the end, in their order.
        rows: Iterated over more than once; need not be in memory.
        criterion: The criterion that the request names.
        ledger: Where questions and replies are stored; opened by the calling thread.
        examples: Reviewed rows to show the judge.
        api_key: The endpoint's key (`read_api_key`).
        on_row: Takes each row that needs no more calls, in the calling thread, in any order.
        reporter: Takes notes, and each settled row as a step, in the calling thread.
        stop: Set it, from any thread, to stop after the calls on their way.

    Raises:
        UsageError: `out` holds labels that people have corrected, or the key can't be sent.
        JudgeError: The criterion names a column that no row has, or the endpoint fails; what was
            paid for is kept.
        DataError: `out` can't be written.
    """
    if request.out is not None:
        _check_unreviewed(request.out, rows)
    if reporter is not None and (warning := warning_of(rows, criterion.columns)):
        reporter.warn(warning)
    counts = _Counts()

    def take(judged: JudgedRow) -> None:
        if request.out is None:
            counts.add(judged)
        if on_row is not None:
            on_row(judged)

    outcome = label_rows(
        rows,
        criterion,
        request,
        ledger,
        api_key=api_key,
        examples=examples,
        batch=request.batch,
        on_row=take,
        reporter=reporter,
        stop=stop,
    )
    if request.out is not None:
        _write(outcome.rows, request.out, counts, ledger.path)
    return LabelResult(
        rows=len(rows),
        kinds=counts.kinds,
        good=counts.good,
        failures=counts.failures,
        stopped=outcome.stopped,
        tokens=outcome.tokens,
        cost=outcome.cost,
        unread=counts.unread,
    )


def missing_key(variable: str) -> bool:
    """Whether an environment variable that is to hold an endpoint's key is not set."""
    return bool(variable) and not os.environ.get(variable, "").strip()


def check_key(request: LabelRequest) -> None:
    """Checks before any call that the key is set.

    Raises:
        UsageError: It is not set, and the endpoint is no plain one, as people run for themselves.
    """
    if missing_key(request.key_variable) and request.base_url.startswith("https:"):
        raise UsageError(
            "is not set where the judge is asked from",
            field="key_variable",
            value=request.key_variable,
            remedy="set it there, or leave {key_variable} empty to send no key",
        )


def read_api_key(variable: str) -> str | None:
    """Reads an endpoint's key from an environment variable; None if it is not set.

    Raises:
        UsageError: The key can't be sent.
    """
    return check_api_key(os.environ.get(variable)) or None


@dataclass(slots=True)
class _Counts:
    """Counts labels and failures."""

    kinds: Counter[LabelKind] = field(default_factory=Counter)
    good: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    unread: str = ""

    def add(self, judged: JudgedRow) -> None:
        if judged.kind is None or judged.label is None:
            self.failures[judged.failure] += 1
            self.unread = self.unread or judged.unread
            return
        self.kinds[judged.kind] += 1
        self.good += judged.label >= 0.5


def _write(judged_rows: Iterable[JudgedRow], out: Path, counts: _Counts, ledger: Path) -> None:
    def lines() -> Iterator[str]:
        for judged in judged_rows:
            counts.add(judged)
            yield json_line(judged.record())

    try:
        write_lines(out, lines())
    except DataError as error:
        error.remedy += f"; what was paid for is kept in {ledger}"
        raise


def _check_unreviewed(out: Path, rows: Collection[Row]) -> None:
    """Checks that no person has corrected a label in a file since it was written."""
    if not out.exists():
        return
    people = {row.id: row.label for row in rows if row.label_source == "human"}
    if count := sum(
        row.labelled and row.label_source == "human" and people.get(row.id) != row.label
        for row in read_rows(out, labelled=False).whole
    ):
        raise UsageError(
            f"people have corrected {count:,} of its labels, which would be lost",
            field="out",
            value=str(out),
            remedy="rename it first; what was paid for is in the ledger",
        )
