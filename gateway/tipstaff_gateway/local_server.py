"""Starts a Tipstaff server beside the gateway, for containers that hold both."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tipstaff.errors import UsageError

_MANIFEST = "manifest.json"
# The folder of a version in a repository: REPO/<name>/<version>.
_VERSION = re.compile(r"[1-9][0-9]*")
_BUNDLE = f"a bundle is a folder with {_MANIFEST}, as `tipstaff train` writes it"
_START_SECONDS = 300.0
_STOP_SECONDS = 30.0


@asynccontextmanager
async def local_server(folder: Path) -> AsyncIterator[tuple[str, asyncio.Task[int]]]:
    """Runs `tipstaff serve` on a socket of this machine.

    Args:
        folder: A bundle, a folder of bundles, or a repository.

    Yields:
        The server's target, and a task that ends when the server does.

    Raises:
        UsageError: There is nothing to serve, or the server doesn't start.
    """
    words = serve_words(folder)
    with tempfile.TemporaryDirectory() as place:
        socket = Path(place) / "tipstaff.sock"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tipstaff", "serve", *words),
            *("--listen", f"unix:{socket}", "--metrics-listen", "off", "--lame-duck-seconds", "0"),
        )
        ended = asyncio.create_task(process.wait())
        try:
            give_up = time.monotonic() + _START_SECONDS
            while not socket.exists():
                if ended.done() or time.monotonic() > give_up:
                    raise UsageError("the server doesn't start", field="bundles", value=str(folder))
                await asyncio.sleep(0.05)
            yield f"unix:{socket}", ended
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                try:
                    async with asyncio.timeout(_STOP_SECONDS):
                        await ended
                except TimeoutError:
                    process.kill()


def serve_words(folder: Path) -> list[str]:
    """The arguments of `tipstaff serve` for a folder.

    Raises:
        UsageError: It is not a folder, or holds neither a bundle nor a repository.
    """
    if (folder / _MANIFEST).is_file():
        return [str(folder)]
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        why = f"can't be read: {error.strerror}"
        raise UsageError(why, field="bundles", value=str(folder)) from None
    if bundles := [str(each) for each in entries if (each / _MANIFEST).is_file()]:
        return bundles
    if any(_VERSION.fullmatch(each.parent.name) for each in folder.glob(f"*/*/{_MANIFEST}")):
        return ["--repository", str(folder)]
    why = "the folder holds no bundle and no repository" if entries else "the folder is empty"
    deeper = next(folder.glob(f"*/*/{_MANIFEST}"), None)
    raise UsageError(
        f"{why}; {_BUNDLE}",
        field="bundles",
        value=str(folder),
        remedy="give one, a folder of bundles, or a repository that `tipstaff publish` made"
        + (f": {deeper.parent.parent} holds some" if deeper else ""),
    )
