"""`tipstaff collect DIR… --workspace W`: read what servers kept into a workspace."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tipstaff.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.epilog = (
        "Each segment is collected exactly once, however often this runs and however many run at "
        "once. With TIPSTAFF_DATABASE the workspace is in PostgreSQL."
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="folder that a server keeps traffic in",
    )
    parser.add_argument(
        "--workspace", required=True, type=Path, metavar="DIR", help="folder of the workspace"
    )
    parser.add_argument("--database", metavar="URL", help="PostgreSQL database of the workspace")
    parser.add_argument(
        "--follow",
        type=float,
        metavar="SECONDS",
        help="go on, and look again after so many seconds, until Ctrl-C",
    )
    parser.add_argument(
        "--webhook", metavar="URL", help="address to send new spikes to, as JSON by HTTP POST"
    )
    parser.add_argument(
        "--gauges",
        type=Path,
        metavar="FILE",
        help="file to write gauges to, for the text-file collector of Prometheus' node exporter",
    )


def run(args: argparse.Namespace) -> int:
    """Collects once, or until Ctrl-C.

    Raises:
        TipstaffError: A folder or the workspace can't be used.
    """
    from tipstaff_trainer.workspace import Workspace
    from tipstaff_trainer.workspace.jobs.store import DATABASE_VARIABLE
    from tipstaff_trainer.workspace.traffic.alarms import Alarms

    if args.follow is not None and args.follow <= 0:
        raise UsageError("is not above 0", field="follow", value=str(args.follow))
    database = args.database or os.environ.get(DATABASE_VARIABLE) or None
    workspace = Workspace(args.workspace, database=database)
    alarms = Alarms(workspace.stores.traffic, webhook=args.webhook, gauges=args.gauges)
    noted: set[str] = set()
    try:
        while True:
            collected = workspace.collect_traffic(*args.folders)
            for note in collected.notes:
                # One that stays is said once.
                if note not in noted:
                    print(f"note: {note}", file=sys.stderr)
            noted = set(collected.notes)
            if collected.segments or args.follow is None:
                print(collected.in_words(), flush=True)
            for problem in alarms.send():
                print(f"note: {problem}", file=sys.stderr)
            if args.follow is None:
                return 0
            time.sleep(args.follow)
    finally:
        workspace.close()
