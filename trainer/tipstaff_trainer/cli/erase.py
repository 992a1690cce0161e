"""`tipstaff erase REQUEST_ID… --traffic DIR… --workspace W`: erase what a request left behind."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tipstaff.errors import UsageError
from tipstaff_server.traffic.erase import erase
from tipstaff_trainer.errors import WorkspaceError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("request_ids", nargs="+", metavar="REQUEST_ID", help="id of a request")
    parser.add_argument(
        "--traffic",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="folder that a server keeps traffic in; may be repeated",
    )
    parser.add_argument("--workspace", type=Path, metavar="DIR", help="folder of a workspace")
    parser.add_argument("--database", metavar="URL", help="PostgreSQL database of the workspace")


def run(args: argparse.Namespace) -> int:
    """Erases, and names what erasing can't reach.

    Raises:
        TipstaffError: A folder or the workspace can't be used.
    """
    from tipstaff_trainer.workspace import Workspace
    from tipstaff_trainer.workspace.jobs.store import DATABASE_VARIABLE

    if not args.traffic and args.workspace is None:
        raise UsageError("nothing to erase from", remedy="give {traffic} or {workspace}")
    for folder in args.traffic:
        try:
            done = erase(folder, args.request_ids)
        except OSError as error:
            raise WorkspaceError(f"{folder}: can't be erased from: {error.strerror}") from error
        print(f"{folder}: {done.rows} rows and {done.feedback} pieces of feedback erased")
        if done.open:
            print(f"{folder}: {done.open} segments are being written: cleaned when sealed")
        for name in done.unreadable:
            print(f"{folder}: {name} is damaged and may still hold something: delete it")
    if args.workspace is not None:
        database = args.database or os.environ.get(DATABASE_VARIABLE) or None
        workspace = Workspace(args.workspace, database=database)
        try:
            erased = workspace.erase_traffic(*args.request_ids)
        finally:
            workspace.close()
        print(f"{args.workspace}: {erased.rows} rows, {erased.feedback} pieces of feedback erased")
        if erased.trained:
            print(
                f"{erased.trained} of the rows had labels: evaluators trained since may have "
                "learnt from them, and their weights stay as they are"
            )
    print("files that were downloaded or written from these rows are not reached")
    return 0
