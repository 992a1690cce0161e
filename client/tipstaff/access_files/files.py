"""Reads files that hold secrets."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tipstaff.errors import AccessFileError


def read_private(path: Path, setting: str) -> bytes:
    """The content of a file that others may not read.

    Args:
        path: The file.
        setting: The setting that names it, for the error.

    Raises:
        AccessFileError: It can't be read, is empty, or everybody may read it.
    """
    content, mode = _read(path, setting)
    if mode & stat.S_IROTH:
        raise AccessFileError(
            f"{path}: every user of this machine may read it: chmod o-r it, or mount the secret "
            "with defaultMode 0440",
            field=setting,
        )
    return content


def read_file(path: Path, setting: str) -> bytes:
    """The content of a file.

    Args:
        path: The file.
        setting: The setting that names it, for the error.

    Raises:
        AccessFileError: It can't be read or is empty.
    """
    content, _ = _read(path, setting)
    return content


def _read(path: Path, setting: str) -> tuple[bytes, int]:
    """The content of a file, and the mode of that same file."""
    try:
        with path.open("rb") as file:
            content, mode = file.read(), os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise AccessFileError(f"{path}: can't be read: {error.strerror}", field=setting) from error
    if not content.strip():
        raise AccessFileError(f"{path}: is empty", field=setting)
    return content, mode
