"""`tipstaff promote`: choose the version of an evaluator that serves."""

from __future__ import annotations

import argparse
import logging

FLAGS = {"repository": "REPO", "name": "NAME", "version": "VERSION"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    from tipstaff_server.cli.options import add_options
    from tipstaff_server.repository.operations import PromoteRequest

    add_options(parser, PromoteRequest, flags=FLAGS)


def run(args: argparse.Namespace) -> int:
    """Promotes, and names the version that served before.

    Raises:
        TipstaffError: There is no such version, its bundle is damaged, or it fails a named case.
    """
    from tipstaff_server.cli.options import given
    from tipstaff_server.repository.operations import PromoteRequest, promote

    logging.basicConfig(format="warning: %(message)s")
    promoted = promote(PromoteRequest.parse(given(PromoteRequest, args)))
    if promoted.previous is None:
        before = ""
    elif promoted.previous == promoted.version:
        before = " (it did already)"
    else:
        before = f" (was version {promoted.previous})"
    print(f"{promoted.name} version {promoted.version} serves now{before}")
    return 0
