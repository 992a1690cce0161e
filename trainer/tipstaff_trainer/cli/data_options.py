"""The words of a command that say where its rows are and how to read them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.operations.sources import FileData

# For a command module's own `FLAGS`, which errors are worded by.
DATA_FLAGS: Mapping[str, str] = {"data": "DATA", "mapping": "--map"}


def add_data_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Adds the positional DATA and the flags that explain its columns.

    Args:
        parser: The command's.
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
    """The data reference that was typed.

    Args:
        args: The command's arguments.
        file: Another file that is read by the same words, in place of DATA.

    Raises:
        UsageError: The file is not there, or a word about its columns is off.
    """
    return FileData.parse({"data": file or args.data, **given(FileData, args)})
