"""A virtual environment for each peer, made from its requirements and kept until they change."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tipstaff.errors import UsageError

PEERS = Path(__file__).parent / "peers"
_MADE_OF = "made-of.sha256"


def environment(name: str, folder: Path) -> Path:
    """The Python of a peer's environment, which is made when it is missing or outdated.

    Args:
        name: The NAME of `peers/NAME.txt`, its pinned requirements.
        folder: Where environments are kept.

    Raises:
        UsageError: pip can't install it; the message is pip's.
    """
    requirements = PEERS / f"{name}.txt"
    home = folder / name
    python = home / "bin" / "python"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = home / _MADE_OF
    if stamp.is_file() and stamp.read_text() == digest:
        return python
    shutil.rmtree(home, ignore_errors=True)
    print(f"{name}: making its virtual environment in {home}", file=sys.stderr)
    _run([sys.executable, "-m", "venv", str(home)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)])
    # Written last, so that an interrupted environment is made again.
    stamp.write_text(digest)
    return python


def installed(python: Path) -> dict[str, str]:
    """The packages of an environment, with their versions."""
    listed = _run([str(python), "-m", "pip", "list", "--format", "json"])
    return {package["name"]: package["version"] for package in json.loads(listed)}


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    return done.stdout
