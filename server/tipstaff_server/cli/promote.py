"""`tipstaff promote`: choose the version of an evaluator that serves."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("repository", type=Path, metavar="REPO", help="folder of the repository")
    parser.add_argument("name", metavar="NAME", help="the evaluator")
    parser.add_argument(
        "version", type=int, metavar="VERSION", help="which version; an older one rolls back"
    )
    parser.add_argument(
        "--force", action="store_true", help="though named cases fail that should not"
    )


def run(args: argparse.Namespace) -> int:
    """Promotes, and names the version that served before.

    Raises:
        TipstaffError: There is no such version, its bundle is damaged, or it fails a named case.
    """
    from tipstaff_server.repository import promote

    logging.basicConfig(format="warning: %(message)s")
    before = promote(args.repository, args.name, args.version, force=args.force)
    was = {None: "", args.version: " (it did already)"}.get(before, f" (was version {before})")
    print(f"{args.name} version {args.version} serves now{was}")
    return 0
