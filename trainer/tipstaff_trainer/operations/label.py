"""Label: an LLM judge's labels for rows of a file or a data set.

rows → questions → ledger → labels → file, or whoever takes them as they come
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Self

from pydantic import model_validator

from tipstaff.errors import UsageError
from tipstaff_server.requests import setting
from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge import (
    JudgeCriterion,
    JudgedRow,
    JudgeSettings,
    LabelKind,
    Ledger,
    label_rows,
)
from tipstaff_trainer.judge.examples import MOST_EXAMPLES
from tipstaff_trainer.judge.records import reviewed_since
from tipstaff_trainer.judge.settings import check_api_key
from tipstaff_trainer.operations.outputs import write_lines
from tipstaff_trainer.operations.sources import FileData, InputFile, StoredData
from tipstaff_trainer.progress import Reporter

# Fields that name files; a data set's labels, replies and examples are stored with it.
_OF_FILES = ("out", "ledger", "examples")
_KEY_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,60}_API_KEY")


class LabelRequest(JudgeSettings):
    """What to label, by which criterion, and the judge's settings."""

    data: FileData | StoredData = setting(description="the rows to label")
    criterion: str = setting(
        min_length=1,
        description="what is judged: the name of a criterion, or a TOML file of one",
        unit="name|file",
        common=True,
    )
    out: Path | None = setting(
        None, "the .jsonl file to write; needed to label a file", unit="file", local=True
    )
    ledger: Path | None = setting(
        None,
        "where replies are kept, so that none is paid for twice (default: beside the labels)",
        unit="file",
        local=True,
    )
    examples: InputFile | None = setting(
        None,
        "reviewed rows to show the judge some of; none drawn at random or of the test part",
        unit="file",
        local=True,
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
    batch: bool = setting(
        False, "ask by the provider's batch files: cheaper, within a day", title="Batch files"
    )
    key_variable: str = setting(
        "OPENAI_API_KEY",
        "the environment variable that holds the endpoint's key",
        title="Key variable",
        unit="name",
        common=True,
    )
    pilot: bool = setting(
        False, "label a few rows that no person has seen, which then wait for review"
    )
    only: str = setting("all", "label only the rows of this kind, as unlabelled", title="Rows")

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        if isinstance(self.data, StoredData):
            return self
        if self.out is None:
            raise UsageError("is needed", field="out", remedy="name a .jsonl file for the labels")
        for path, what in (
            (self.data.data, "the rows come from"),
            (self.ledger, "replies are kept in"),
        ):
            if path is not None and self.out.resolve() == path.resolve():
                raise UsageError(
                    f"is the file that {what}",
                    field="out",
                    value=str(self.out),
                    remedy="choose another name",
                )
        if self.pilot or self.only != "all":
            raise UsageError(
                "a file's rows are all labelled", field="pilot" if self.pilot else "only"
            )
        return self

    @model_validator(mode="after")
    def _check_stored(self) -> Self:
        if isinstance(self.data, FileData):
            return self
        # Whoever starts a job in a browser also says where its key is sent: no other secret of this
        # machine may go there. At a command line people can read the variables anyway.
        if self.key_variable and not _KEY_VARIABLE.fullmatch(self.key_variable):
            raise UsageError(
                "is not read as a key",
                field="key_variable",
                value=self.key_variable[:80],
                remedy="name an environment variable that ends in _API_KEY, or none",
            )
        for name in _OF_FILES:
            if getattr(self, name) is not None:
                raise UsageError("is for rows in files", field=name)
        if self.pilot and self.only != "all":
            raise UsageError("chooses its rows itself", field="pilot", remedy="leave out {only}")
        return self

    @property
    def ledger_file(self) -> Path:
        """Where a file's labelling keeps its replies."""
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
        tokens: Tokens that the ledger has paid this model for, earlier runs included.
        cost: The same in money, in the prices' currency.
    """

    rows: int
    kinds: Mapping[LabelKind, int]
    good: int
    failures: Mapping[str, int]
    stopped: str
    tokens: int
    cost: float

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
    """Has a judge label rows, as far as the ledger doesn't have the replies already.

    Args:
        request: The judge, its pace and budget. With `out`, all rows are written there at the end,
            in their order.
        rows: Iterated over more than once; need not be in memory.
        criterion: The criterion that the request names.
        ledger: Where questions and replies are stored; of the calling thread.
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
    )


def read_api_key(variable: str) -> str | None:
    """Reads an endpoint's key from an environment variable; None if it is not set.

    Raises:
        UsageError: The key can't be sent.
    """
    return check_api_key(os.environ.get(variable)) or None


class _Counts:
    """Counts labels and failures."""

    def __init__(self) -> None:
        self.kinds: Counter[LabelKind] = Counter()
        self.good = 0
        self.failures: Counter[str] = Counter()

    def add(self, judged: JudgedRow) -> None:
        if judged.kind is None or judged.label is None:
            self.failures[judged.failure] += 1
            return
        self.kinds[judged.kind] += 1
        self.good += judged.label >= 0.5


def _write(judged_rows: Iterable[JudgedRow], out: Path, counts: _Counts, ledger: Path) -> None:
    def lines() -> Iterator[str]:
        for judged in judged_rows:
            counts.add(judged)
            yield json.dumps(judged.record(), ensure_ascii=False) + "\n"

    try:
        write_lines(out, lines())
    except DataError as error:
        raise DataError(
            error.message,
            field=error.field,
            value=error.value,
            remedy=f"{error.remedy}; what was paid for is kept in {ledger}",
        ) from error


def _check_unreviewed(out: Path, rows: Collection[Row]) -> None:
    if out.exists() and (count := reviewed_since(out, rows)):
        raise UsageError(
            f"people have corrected {count:,} of its labels, which would be lost",
            field="out",
            value=str(out),
            remedy="rename it first; what was paid for is in the ledger",
        )
