"""Optional tools of the tests, beyond the packages of the development extra."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from typing import NoReturn

import pytest


def require(tool: str) -> str:
    """Returns a program's path; if missing, skips, or fails under TIPSTAFF_REQUIRE_TOOLS=1."""
    path = shutil.which(tool)
    return path if path else unavailable(f"{tool} is not installed")


def require_package(name: str) -> None:
    """Skips or fails in the same way if a Python package is missing."""
    if find_spec(name) is None:
        unavailable(f"{name} is not installed")


def unavailable(why: str) -> NoReturn:
    """Skips, or fails under TIPSTAFF_REQUIRE_TOOLS=1."""
    if os.environ.get("TIPSTAFF_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{why}, and TIPSTAFF_REQUIRE_TOOLS is set")
    pytest.skip(why)
