"""`tipstaff serve`: answer Score calls over gRPC."""

from __future__ import annotations

import argparse
import os

FLAGS = {"bundles": "BUNDLE"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for each setting; values are checked later, with those of the other sources."""
    from tipstaff_server.cli.options import add_options
    from tipstaff_server.settings import ENVIRONMENT_PREFIX, OLD_NAMES, Settings

    parser.epilog = (
        f"Every flag can also be set in the environment (--max-queue is {ENVIRONMENT_PREFIX}"
        "MAX_QUEUE; lists have commas) or in the TOML file named by --config (max_queue = 64). "
        "A flag overrides the environment, which overrides the file."
    )
    add_options(parser, Settings, flags=FLAGS, old_names=OLD_NAMES)


def run(args: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT.

    Raises:
        TipstaffError: The server can't start.
    """
    # The workers share out the cores; a tokenizer's own threads would come on top of them.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Otherwise gRPC's core writes its own lines about a taken port beside ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from tipstaff_server.app import serve
    from tipstaff_server.cli.options import given
    from tipstaff_server.settings import Settings, load_settings

    serve(load_settings(given(Settings, args)))
    return 0
