"""`tipstaff publish`: add a bundle to a repository."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tipstaff_server.repository.operations import PublishedVersion

FLAGS = {"bundle": "BUNDLE", "repository": "REPO"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    from tipstaff_server.cli.options import add_options
    from tipstaff_server.repository.operations import PublishRequest

    add_options(parser, PublishRequest, flags=FLAGS)


def run(args: argparse.Namespace) -> int:
    """Publishes, and says what to do next.

    Raises:
        TipstaffError: The bundle is damaged, the repository can't be written, or the version may
            not serve.
    """
    from tipstaff_server.cli.options import given
    from tipstaff_server.repository.operations import PublishRequest, publish

    logging.basicConfig(format="warning: %(message)s")
    request = PublishRequest.parse(given(PublishRequest, args))
    published = publish(request, _print)
    if request.promote:
        print(f"{published.name} version {published.version} serves now")
    else:
        words = f"{request.repository} {published.name} {published.version}"
        print(f"to let it serve: tipstaff promote {words}")
    return 0


def _print(published: PublishedVersion) -> None:
    print(f"published {published.name} version {published.version} to {published.path}")
