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
    """Opens a hidden file to write, which is renamed to `path` once it is complete.

    Raises:
        OSError: The file can't be written; the hidden file is removed.
    """
    # Not derived from the file's name, which may be as long as names can be.
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
