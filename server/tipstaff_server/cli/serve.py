"""`tipstaff serve`: answer Score calls over gRPC."""

from __future__ import annotations

import argparse
import os
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for each setting; values are checked later, with those of the other sources."""
    from tipstaff_server.settings import ENVIRONMENT_PREFIX, Settings, flag

    parser.epilog = (
        f"Every flag can also be set in the environment (--max-queue is {ENVIRONMENT_PREFIX}"
        "MAX_QUEUE; lists have commas) or in the TOML file named by --config (max_queue = 64). "
        "A flag goes before the environment, and that before the file."
    )
    for name, field in Settings.model_fields.items():
        kind: dict[str, Any] = {
            "help": _help(name, field.description or "", field.default),
            "default": argparse.SUPPRESS,
        }
        if name == "bundles":
            parser.add_argument(name, nargs="*", metavar="BUNDLE", **kind)
        elif field.annotation is bool:
            parser.add_argument(flag(name), action="store_true", **kind)
        else:
            kind["action"] = "append" if name == "listen" else "store"
            parser.add_argument(flag(name), metavar=_metavar(name), **kind)


def run(args: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT.

    Raises:
        TipstaffError: The server can't start.
    """
    # Workers share the cores as told; a tokenizer's own threads would come on top of them.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Without this, gRPC's core writes its own lines about a taken port beside ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from tipstaff_server.app import serve
    from tipstaff_server.settings import Settings, load_settings

    given = {name: value for name, value in vars(args).items() if name in Settings.model_fields}
    if not given.get("bundles"):
        given.pop("bundles", None)
    serve(load_settings(given))
    return 0


def _help(name: str, description: str, default: object) -> str:
    # argparse reads % as the start of a format.
    text = description.replace("%", "%%")
    if default is None or default is False or default == () or name == "config":
        return text
    shown = ", ".join(default) if isinstance(default, tuple) else default
    return f"{text} (default: {shown})"


def _metavar(name: str) -> str:
    return {
        "repository": "REPO",
        "config": "FILE",
        "listen": "ADDRESS",
        "metrics_listen": "HOST:PORT",
        "device": "{auto,cpu,cuda}",
        "precision": "{int8,fp16,fp32}",
        "log_level": "{debug,info,warning,error}",
        "log_format": "{text,json}",
        "max_request_bytes": "BYTES",
    }.get(name, "SECONDS" if name.endswith("_seconds") else "N")
