"""Arguments that say where rows are and how to read them, shared by the commands that do."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS
from tipstaff_trainer.data import LABEL_SOURCES, SELECTIONS, Data, read_rows
from tipstaff_trainer.data.writing import whole_file
from tipstaff_trainer.errors import DataError


def add_data_arguments(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Adds the positional DATA and the options that explain its columns."""
    parser.add_argument(
        "data",
        type=Path,
        metavar="DATA",
        nargs="?" if optional else None,
        help="rows: .csv, .jsonl, .ndjson, .json or .parquet",
    )
    group = parser.add_argument_group("columns")
    group.add_argument(
        "--columns",
        type=_fields,
        metavar="A,B",
        help=f"the fields to use, of {', '.join(FIELDS)} (default: all that the file has)",
    )
    group.add_argument(
        "--map",
        action="append",
        type=_assignment,
        default=[],
        metavar="FIELD=COLUMN",
        help="which column holds a field or the label, as in label=is_correct; may be repeated",
    )
    group.add_argument(
        "--label-source",
        choices=LABEL_SOURCES,
        help="who labelled the rows, where no column says so",
    )
    group.add_argument(
        "--selection",
        choices=SELECTIONS,
        help="how the rows came to be labelled, where no column says so",
    )


def read_data(path: Path, args: argparse.Namespace) -> Data:
    """Reads labelled rows from `path` as the arguments say."""
    return read_rows(
        path,
        columns=args.columns,
        mapping=dict(args.map),
        label_source=args.label_source,
        selection=args.selection,
    )


def warn(warnings: Iterable[str]) -> None:
    """Prints warnings for people, out of the way of what programs read."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _fields(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in FIELDS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"{text!r}: take one or more of {', '.join(FIELDS)}, separated by commas"
        )
    return names


def _assignment(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not (name and equals and column):
        raise argparse.ArgumentTypeError(f"{text!r} is not FIELD=COLUMN, as in label=is_correct")
    return name.strip(), column.strip()


def check_exists(path: Path) -> None:
    """Says so early when a file isn't there.

    Raises:
        UsageError: It isn't.
    """
    if not path.is_file():
        what = "is a folder; give one file" if path.is_dir() else "no such file"
        raise UsageError(f"{path}: {what}")


def check_free(out: Path) -> None:
    """Says so early when a file is there that may hold somebody's work.

    Raises:
        UsageError: It is.
    """
    if out.exists():
        raise UsageError(f"--out {out}: is there already; choose another name")


def check_rows_file(out: Path) -> None:
    """Says so early, before minutes of work, when rows can't be written there.

    Raises:
        UsageError: It has another ending than .jsonl, or its folder won't do.
    """
    if out.suffix != ".jsonl":
        raise UsageError(f"--out {out}: rows are written as JSON lines; name it .jsonl")
    check_folder_of(out)


def check_folder_of(out: Path) -> None:
    """Says so early, before minutes of work, when no file can be written there.

    Raises:
        UsageError: The folder isn't there, or can't be written to.
    """
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: {out.parent}: no such folder")
    if not os.access(out.parent, os.W_OK):
        raise UsageError(
            f"--out {out}: {out.parent}: can't be written to; choose another folder, or have it "
            "opened to you"
        )


def write_out(out: Path, texts: Iterable[str]) -> None:
    """Writes a file that appears whole or not at all.

    Raises:
        DataError: It can't be written.
    """
    try:
        with whole_file(out) as file:
            file.writelines(text.encode() for text in texts)
    except OSError as error:
        raise DataError(
            f"--out {out}: can't be written: {error.strerror}; nothing was left there: make room, "
            "or choose another folder, and run it again"
        ) from error
