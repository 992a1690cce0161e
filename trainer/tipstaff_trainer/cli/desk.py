"""`tipstaff desk`: where people review labels, train evaluators and try them, in a browser."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path

_TOKEN_VARIABLE = "TIPSTAFF_DESK_TOKEN"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments; those of reaching the desk come from `DeskSettings`."""
    from tipstaff_trainer.desk.settings import DeskSettings

    parser.epilog = (
        "Labels, jobs and evaluators are kept in the workspace's folder, for any number of desks "
        "and people. With --database (or TIPSTAFF_DATABASE) data sets, labels and jobs are kept in "
        "PostgreSQL."
    )
    parser.add_argument(
        "workspace",
        nargs="?",
        type=Path,
        default=Path("workspace"),
        metavar="WORKSPACE",
        help="folder of the workspace; made if absent (default: workspace)",
    )
    parser.add_argument(
        "--database", metavar="URL", help="PostgreSQL database to use in place of a SQLite file"
    )
    parser.add_argument(
        "--server",
        metavar="HOST:PORT",
        help="running server that the playground asks (default: one of the desk's own)",
    )
    for name, field in DeskSettings.model_fields.items():
        shown = f" (default: {field.default})" if field.default != "" else ""
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=int if field.annotation is int else str,
            default=argparse.SUPPRESS,
            metavar=name.rpartition("_")[2].upper(),
            help=f"{field.description}{shown}",
        )


def run(args: argparse.Namespace) -> int:
    """Serves until Ctrl-C.

    Raises:
        TipstaffError: A setting is off, or the workspace or the address can't be used.
    """
    from pydantic import ValidationError

    from tipstaff.errors import UsageError
    from tipstaff_trainer.desk.app import build
    from tipstaff_trainer.desk.process import serve
    from tipstaff_trainer.desk.settings import DeskSettings
    from tipstaff_trainer.workspace import Workspace
    from tipstaff_trainer.workspace.jobs.store import DATABASE_VARIABLE

    given = {name: vars(args)[name] for name in DeskSettings.model_fields if name in args}
    # Taken out of it: jobs get the rest of the environment, and what they run needs no token.
    if token := os.environ.pop(_TOKEN_VARIABLE, ""):
        given.setdefault("token", token)
    try:
        settings = DeskSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        flag = "--" + str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"{flag} {first['input']}: {first['msg']}") from None
    made = not settings.local and not settings.token
    if made:
        settings = settings.model_copy(update={"token": secrets.token_urlsafe(24)})
    workspace = Workspace(
        args.workspace,
        database=args.database or os.environ.get(DATABASE_VARIABLE) or None,
        server=args.server,
    )
    serve(build(workspace, settings), settings, workspace, shown_token=made)
    return 0
