"""`tipstaff desk`: reviewing labels, training evaluators and trying them in a browser."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path

from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.desk.settings import DeskSettings

_TOKEN_VARIABLE = "TIPSTAFF_DESK_TOKEN"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments; most are fields of `DeskSettings`."""
    parser.epilog = (
        "The workspace's folder holds labels, jobs and evaluators; several people and desks on one "
        "machine can use it at once. With --database (or TIPSTAFF_DATABASE) data sets, labels and "
        "jobs are stored in PostgreSQL."
    )
    parser.add_argument(
        "workspace",
        nargs="?",
        type=Path,
        default=Path("workspace"),
        metavar="WORKSPACE",
        help="folder of the workspace; created if absent (default: workspace)",
    )
    parser.add_argument(
        "--database", metavar="URL", help="PostgreSQL database to use in place of a SQLite file"
    )
    parser.add_argument(
        "--server",
        metavar="HOST:PORT",
        help="running server for the playground to use (default: the desk starts its own)",
    )
    add_options(parser, DeskSettings)


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C.

    Raises:
        TipstaffError: A setting, the workspace or the address can't be used.
    """
    from tipstaff_trainer.desk.app import build
    from tipstaff_trainer.desk.process import serve
    from tipstaff_trainer.workspace import Workspace
    from tipstaff_trainer.workspace.jobs.store import DATABASE_VARIABLE

    values = given(DeskSettings, args)
    # Remove the token from the environment, which jobs inherit: they need none.
    if token := os.environ.pop(_TOKEN_VARIABLE, ""):
        values.setdefault("token", token)
    settings = DeskSettings.parse(values)
    token_needed = not settings.local and not settings.token
    if token_needed:
        settings = settings.model_copy(update={"token": secrets.token_urlsafe(24)})
    workspace = Workspace(
        args.workspace,
        database=args.database or os.environ.get(DATABASE_VARIABLE) or None,
        server=args.server,
    )
    serve(build(workspace, settings), settings, workspace, print_token=token_needed)
    return 0
