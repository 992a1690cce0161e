"""Runs `tipstaff serve` while a benchmark lasts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that is ready.

    Attributes:
        process: Its process.
        target: Its gRPC address.
    """

    process: subprocess.Popen[bytes]
    target: str


@contextmanager
def serving(
    bundle: Path | None, *flags: object, wrapper: Sequence[str] = (), address: str = "127.0.0.1:0"
) -> Iterator[LocalServer]:
    """Serves a bundle on free ports of this machine, and stops it afterwards.

    Args:
        bundle: The bundle's folder; None where the flags name a repository.
        flags: More arguments for `tipstaff serve`.
        wrapper: A command to start it with, such as `taskset -c 0`.
        address: Where it listens; port 0 for a free one.

    Raises:
        RuntimeError: The server doesn't start; the message has its output.
    """
    command = [
        *wrapper,
        str(Path(sys.executable).with_name("tipstaff")),
        *("serve", *([] if bundle is None else [str(bundle)])),
        *("--listen", address, "--metrics-listen", "127.0.0.1:0"),
        *map(str, flags),
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        try:
            give_up = time.monotonic() + _START_SECONDS
            while "ready after" not in (output := _read(log.fileno())):
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"{' '.join(command)} doesn't start:\n{output}")
                time.sleep(0.1)
            match = re.search(r"gRPC on (\S+)", output)
            assert match, output
            yield LocalServer(process, match[1])
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _read(descriptor: int) -> str:
    return os.pread(descriptor, 1 << 20, 0).decode(errors="replace")
