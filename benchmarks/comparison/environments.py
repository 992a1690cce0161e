"""A virtual environment per peer, created from its requirements, again when they change."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tipstaff.errors import UsageError

PEERS = Path(__file__).parent / "peers"
_STAMP = "made-of.sha256"


def environment(name: str, folder: Path) -> Path:
    """Returns the Python of a peer's environment; creates it if missing or outdated.

    Args:
        name: The NAME of `peers/NAME.txt`, its pinned requirements.
        folder: Where environments are kept.

    Raises:
        UsageError: pip can't install it; the message has pip's output.
    """
    requirements = PEERS / f"{name}.txt"
    home = folder / name
    python = home / "bin" / "python"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = home / _STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return python
    shutil.rmtree(home, ignore_errors=True)
    print(f"{name}: creating its virtual environment in {home}", file=sys.stderr)
    _run([sys.executable, "-m", "venv", str(home)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)])
    # Written last, so that an interrupted installation is repeated.
    stamp.write_text(digest)
    return python


def installed(python: Path) -> dict[str, str]:
    """Lists the packages of an environment with their versions."""
    packages = _run([str(python), "-m", "pip", "list", "--format", "json"])
    return {package["name"]: package["version"] for package in json.loads(packages)}


def _run(command: list[str]) -> str:
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise UsageError(f"{' '.join(command)}: {process.stderr.strip()[-2000:]}")
    return process.stdout
