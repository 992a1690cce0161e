"""Output files of operations: checked before the work, and written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from tipstaff.errors import UsageError
from tipstaff_trainer.data.writing import whole_file
from tipstaff_trainer.errors import DataError


def check_new_file(out: Path, *suffixes: str, field: str = "out") -> None:
    """Checks that a new file or folder can be written.

    Args:
        out: Must not exist: it may hold somebody's work.
        suffixes: The endings that it may have; any if none are given.
        field: The request's field that names it.

    Raises:
        UsageError: It exists, has another ending, or its folder can't be written to.
    """
    if out.exists():
        raise UsageError(
            "exists already", field=field, value=str(out), remedy="choose another name"
        )
    check_writable(out, *suffixes, field=field)


def check_writable(out: Path, *suffixes: str, field: str = "out") -> None:
    """Checks as `check_new_file` does, but the file may exist."""
    if suffixes and out.suffix not in suffixes:
        raise UsageError(
            f"the name must end in {' or '.join(suffixes)}", field=field, value=str(out)
        )
    if not out.parent.is_dir():
        raise UsageError(f"{out.parent}: no such folder", field=field, value=str(out))
    if not os.access(out.parent, os.W_OK):
        raise UsageError(
            f"{out.parent}: can't be written to",
            field=field,
            value=str(out),
            remedy="choose another folder, or have it opened to you",
        )


def write_lines(out: Path, texts: Iterable[str], *, field: str = "out") -> None:
    """Writes a file completely or not at all.

    Raises:
        DataError: It can't be written.
    """
    try:
        with whole_file(out) as file:
            file.writelines(text.encode() for text in texts)
    except OSError as error:
        raise DataError(
            f"can't be written: {error.strerror}; nothing was left there",
            field=field,
            value=str(out),
            remedy="make room, or choose another folder, and run it again",
        ) from error


def _new_rows_file(out: Path) -> Path:
    check_new_file(out, ".jsonl")
    return out


# The type of a request's `out` for rows: the request's validation checks the file.
NewRowsFile = Annotated[Path, AfterValidator(_new_rows_file)]
