"""Arguments that say what a judge's labels are compared with: an evaluator, or the other rows."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge.records import number_in

if TYPE_CHECKING:
    from tipstaff_trainer.label_quality.label_errors import OtherRows


def add_opinion_arguments(parser: argparse.ArgumentParser, *, together: bool) -> None:
    """Adds --evaluator, --scores and --out-of-fold.

    Args:
        parser: The command's.
        together: Whether --out-of-fold may be given beside one of the others.
    """
    second = parser.add_mutually_exclusive_group()
    second.add_argument(
        "--evaluator", type=Path, metavar="BUNDLE", help="a bundle whose scores are compared"
    )
    second.add_argument(
        "--scores", metavar="COLUMN", help="the column that holds an evaluator's scores"
    )
    (parser if together else second).add_argument(
        "--out-of-fold",
        action="store_true",
        help="compare with what the other rows say of each"
        + (", too; all there is before there is an evaluator" if together else " (default)"),
    )


def evaluator_scores(rows: Sequence[Row], args: argparse.Namespace) -> list[float] | None:
    """What an evaluator says of each row, NaN where it says nothing; None where none is named.

    Raises:
        DataError: The column that is named says nothing of any row.
    """
    if args.scores is not None:
        found = [number(row, args.scores) for row in rows]
        if all(map(math.isnan, found)):
            raise DataError(f"--scores {args.scores}: no row has a score in a column of this name")
        return found
    if args.evaluator is None:
        return None

    from tipstaff_server.evaluator import Evaluator
    from tipstaff_trainer.evaluation.predict import predict_all

    evaluator = Evaluator.load(args.evaluator)
    return [
        prediction.score for prediction in predict_all(evaluator, [row.interaction for row in rows])
    ]


def others(rows: Sequence[Row]) -> OtherRows:
    """What the other rows say of each."""
    # Only now, since torch takes seconds to import.
    from tipstaff_trainer.label_quality.label_errors import OtherRows

    return OtherRows(rows)


def number(row: Row, column: str) -> float:
    """A probability from one of a row's further columns; NaN where there is none.

    Raises:
        DataError: There is something else.
    """
    try:
        found = number_in(row.extra, column)
    except ValueError as error:
        raise DataError(f'{row.place}, column "{column}": {error}') from None
    return float("nan") if found is None else found
