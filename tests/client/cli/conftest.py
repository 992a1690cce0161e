from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).with_name("tipstaff")


@pytest.fixture
def tipstaff() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the installed command."""

    def run(*words: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *words], capture_output=True, text=True, timeout=60, check=False, **kwargs
        )

    return run


@pytest.fixture
def command_path() -> Path:
    return COMMAND
