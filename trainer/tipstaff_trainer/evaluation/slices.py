"""Measures an evaluator on parts of the rows: by column, by label source, by length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tipstaff.types import Verdict
from tipstaff_server.evaluator.quality import Interval
from tipstaff_trainer.data import Row
from tipstaff_trainer.data.columns import ROLES
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.evaluation import intervals
from tipstaff_trainer.evaluation.base import Bools, Part
from tipstaff_trainer.evaluation.scored import ScoredRows

_MOST_VALUES = 12
_LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096)


class Slice(Part):
    """One part of the rows.

    Attributes:
        by: The column that they share a value of, as `system`.
        value: The value, as `gpt4`.
        n: Rows.
        good: Good rows.
        accuracy: Share of right decisions at 0.5.
        auroc: None where all are of one class.
        false_pass: Share of the bad rows that got a PASS; None without bad rows.
        false_block: Share of the good rows that got a BLOCK; None without good rows.
    """

    by: str
    value: str
    n: int
    good: int
    accuracy: Interval
    auroc: Interval | None
    false_pass: Interval | None
    false_block: Interval | None


def measure(scored: ScoredRows, *, by: str = "", value: str = "all rows") -> Slice:
    """Measures the evaluator on some rows; at least one."""
    accuracy = intervals.share(scored.right, scored.groups)
    assert accuracy is not None
    return Slice(
        by=by,
        value=value,
        n=len(scored),
        good=int(scored.good.sum()),
        accuracy=accuracy,
        auroc=intervals.auroc(scored.good, scored.scores, scored.groups),
        false_pass=_share(scored, Verdict.PASS, among=~scored.good),
        false_block=_share(scored, Verdict.BLOCK, among=scored.good),
    )


def slices(scored: ScoredRows, columns: Sequence[str]) -> tuple[Slice, ...]:
    """Measures by each of the columns, by label source if there are several, and by length.

    A column's values beyond the twelve most frequent are one part.

    Raises:
        DataError: No row has a column.
    """
    check_columns(scored.rows, columns)
    parts = [part for column in columns for part in _by_column(scored, column)]
    sources = [row.label_source for row in scored.rows]
    if len(set(sources)) > 1:
        parts += _parts(scored, "label source", sources)
    parts += _by_length(scored)
    return tuple(parts)


def check_columns(rows: Sequence[Row], columns: Iterable[str]) -> None:
    """Checks that some row has each of the columns.

    Raises:
        DataError: None has one.
    """
    for column in columns:
        if any(row.extra.get(column) for row in rows):
            continue
        others = sorted({name for row in rows for name in row.extra})
        known = ", ".join(role for role in ROLES if role != column)
        problem, remedy = f'no row has a column "{column}" beside {known}', ""
        if column in ROLES:
            problem = f'"{column}" has a meaning of its own, as have {known}'
            remedy = "choose another column"
        choice = ", ".join(others[:_MOST_VALUES]) or "none"
        verb = "are" if len(others) > 1 else "is"
        raise DataError(f"{problem}; there {verb} {choice}", remedy=remedy)


def _by_column(scored: ScoredRows, column: str) -> Iterator[Slice]:
    values = [row.extra.get(column, "") for row in scored.rows]
    common = {value for value, _ in Counter(values).most_common(_MOST_VALUES)}
    names = [(value or "(empty)") if value in common else "(others)" for value in values]
    yield from _parts(scored, column, names)


def _by_length(scored: ScoredRows) -> Iterator[Slice]:
    tokens = np.array(scored.tokens)
    low = 0
    for high in (*_LENGTHS, None):
        inside = (tokens > low) & (tokens <= (high or np.inf))
        if inside.any() and not inside.all():
            value = f"{low + 1} to {high} tokens" if high else f"over {low} tokens"
            yield measure(scored.where(inside), by="length", value=value)
        low = high or low


def _parts(scored: ScoredRows, by: str, values: Sequence[str]) -> Iterator[Slice]:
    array = np.array(values, dtype=object)
    for value in sorted(set(values)):
        yield measure(scored.where(array == value), by=by, value=value)


def _share(scored: ScoredRows, verdict: Verdict, *, among: Bools) -> Interval | None:
    return intervals.share(scored.verdict_is(verdict)[among], scored.groups[among])
