"""`tipstaff publish`: add a bundle to a repository."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument(
        "repository", type=Path, metavar="REPO", help="folder of the repository; made if absent"
    )
    parser.add_argument("--promote", action="store_true", help="let the new version serve at once")
    parser.add_argument(
        "--force", action="store_true", help="with --promote: though named cases fail"
    )


def run(args: argparse.Namespace) -> int:
    """Publishes, and says what to do next.

    Raises:
        TipstaffError: The bundle is damaged, or the repository can't be written.
    """
    from tipstaff_server import repository
    from tipstaff_server.evaluator.bundle import read_manifest

    logging.basicConfig(format="warning: %(message)s")
    name = read_manifest(args.bundle).name
    version = repository.publish(args.bundle, args.repository)
    path = repository.bundle_path(args.repository, name, version)
    print(f"published {name} version {version} to {path}")
    if args.promote:
        repository.promote(args.repository, name, version, force=args.force)
        print(f"{name} version {version} serves now")
    else:
        print(f"to let it serve: tipstaff promote {args.repository} {name} {version}")
    return 0
