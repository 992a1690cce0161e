"""`tipstaff preview FILE`: what would be read of a file: form, mapping, rows, what is left out."""

from __future__ import annotations

import argparse
import sys

from tipstaff.cli import flag_names
from tipstaff.errors import describe
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.operations.preview import FilePreview, preview

FLAGS = {**DATA_FLAGS, "data": "FILE"}
_LONGEST_SHOWN = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments: a file, and how to read it."""
    add_data_options(parser)


def run(args: argparse.Namespace) -> int:
    """Prints what would be read.

    Returns:
        0, or 1 where the file can't be read with these flags.
    """
    found = preview(file_data(args))
    print(f"form:    {found.form or 'a plain table'}, {found.count} rows")
    for role, column in found.mapping.items():
        print(f"mapping: {role}={column}")
    if found.labels:
        print(f"labels:  {', '.join(found.labels)}")
    _print_rows(found)
    for note in found.notes:
        print(f"note:    {note}")
    if found.problem:
        text = describe(found.problem, remedy=found.remedy, name_of=flag_names(FLAGS))
        print(f"tipstaff: {text}", file=sys.stderr)
        return 1
    return 0


def _print_rows(found: FilePreview) -> None:
    for number, row in enumerate(found.read, start=1):
        print(f"row {number}:")
        for role, text in row.items():
            line = " ".join(text.split())
            short = line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"
            print(f"  {role}: {short}")
