"""Command-line arguments for a file of rows and its columns."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.operations.sources import FileData

# For a command module's `FLAGS`, which error messages use.
DATA_FLAGS: Mapping[str, str] = {"data": "DATA", "mapping": "--map"}


def add_data_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Adds the positional DATA and the flags for its columns.

    Args:
        parser: The command's parser.
        required: Whether the command needs rows.
    """
    parser.add_argument(
        "data",
        metavar="DATA",
        nargs=None if required else "?",
        help=FileData.model_fields["data"].description,
    )
    group = parser.add_argument_group("columns")
    add_options(group, FileData, flags=DATA_FLAGS, without={"data"})


def file_data(args: argparse.Namespace, file: str | None = None) -> FileData:
    """The data reference from the command line.

    Args:
        args: The command's arguments.
        file: A file to read in place of DATA, with the same flags.

    Raises:
        UsageError: The file does not exist, or a flag for its columns is invalid.
    """
    return FileData.parse({"data": file or args.data, **given(FileData, args)})
