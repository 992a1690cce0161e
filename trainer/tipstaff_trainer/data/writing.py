"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file to write that takes its place when all is in it, and until then is hidden.

    Raises:
        OSError: It can't be written; nothing of it is left.
    """
    # A name of its own length: the file's may be as long as names can be.
    hidden = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with hidden.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    except BaseException:
        with suppress(OSError):
            hidden.unlink()
        raise
