"""`tipstaff token`: a new token, and its hash for the server's file of callers."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tipstaff.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.epilog = (
        "The hash goes into the file that `tipstaff serve --callers` names, among the tokens of "
        "its caller; the token goes to the caller, and is kept nowhere else."
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the token to a new file that only you may read, instead of printing it",
    )


def run(args: argparse.Namespace) -> int:
    """Makes a token; prints its hash, and the token if it goes to no file.

    Raises:
        UsageError: The file is there already, or can't be written.
    """
    from tipstaff_server.access.tokens import hash_token, new_token

    token = new_token()
    if args.out is None:
        print(f"token: {token}", file=sys.stderr)
    else:
        try:
            file = os.open(args.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise UsageError(f"--out {args.out}: is there already; give another file") from None
        except OSError as error:
            raise UsageError(f"--out {args.out}: can't be written: {error.strerror}") from error
        with os.fdopen(file, "w") as stream:
            stream.write(f"{token}\n")
    print(hash_token(token))
    return 0
