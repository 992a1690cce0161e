"""What must be on the disk before work goes on."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Makes a file's content, or the renames in a folder, survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
